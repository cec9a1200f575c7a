// lmtpd/delivery/frontend_link.h -- a worker's channel to one frontend, and the rules of it.
//
// The frontend sends Deliver within its window (messages.h), and Left once it was sent Leaving; the
// worker answers each delivery once. Whatever else comes is an error, and the caller closes the
// channel.
#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>

#include "lmtpd/base/channel.h"
#include "lmtpd/base/messages.h"
#include "lmtpd/base/result.h"

namespace lmtpd::delivery {

class FrontendLink {
 public:
  FrontendLink(std::uint32_t instance, UniqueFd socket)
      : instance_(instance), channel_(std::move(socket)) {}

  [[nodiscard]] std::uint32_t instance() const { return instance_; }
  [[nodiscard]] Channel& channel() { return channel_; }
  [[nodiscard]] const Channel& channel() const { return channel_; }

  // Success: `message` keeps the rules, and its deliveries are now to be answered. The descriptor,
  // if there is one, stays the frame's.
  [[nodiscard]] Result<void> accept(const Deliver& message, std::span<const UniqueFd> descriptors);
  [[nodiscard]] Result<void> accept(const Left& message);

  // Of a delivery that is to be answered; it leaves with the next flush of the channel.
  void answer_stored(std::uint64_t id);
  void answer_failed(std::uint64_t id, const Error& error);

  void take_leave();
  // It sent Left, and has all its answers.
  [[nodiscard]] bool is_over() const {
    return left_ && unanswered_.empty() && !channel_.has_unsent();
  }

 private:
  void answer(const Outcome& outcome);

  std::uint32_t instance_;
  Channel channel_;
  std::unordered_map<std::uint64_t, std::uint64_t>
      unanswered_;                                           // delivery -> message; 0: body inline
  std::unordered_map<std::uint64_t, std::size_t> in_memfd_;  // message -> its unanswered deliveries
  std::uint64_t last_message_ = 0;
  bool leaving_ = false;
  bool left_ = false;
};

}  // namespace lmtpd::delivery
