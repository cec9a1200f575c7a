// lmtpd/frontend/auth_link.h -- the SASL exchanges of this frontend's clients, on its channel to
// lookup, which runs them.
//
// One that is over while it is its client's turn, because lookup gave it up for another or is gone,
// is `unavailable` at the next expire() after the client's response.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string_view>
#include <unordered_map>

#include "lmtpd/base/messages.h"
#include "lmtpd/event/event_channel.h"
#include "lmtpd/session/session.h"

namespace lmtpd::frontend {

class AuthLink {
 public:
  class Asker {
   public:
    // Once for each begin() and respond(), never from within them.
    virtual void on_auth_step(std::uint64_t connection, session::AuthStep step) = 0;

   protected:
    ~Asker() = default;
  };

  // lookup's own, in the queue, for failures, and for an answer (lookup/authenticator.h), come
  // before it.
  static constexpr std::chrono::seconds kDeadline{90};

  explicit AuthLink(Asker& asker) : asker_(asker) {}

  // `channel` is nullptr where there is none: the step is `unavailable` at the next expire(). A
  // connection has one exchange at a time.
  void begin(EventChannel* channel, std::uint64_t connection, const session::AuthStart& start);
  void respond(EventChannel* channel, std::uint64_t connection, std::string_view response);
  // Nothing more is told.
  void end(EventChannel* channel, std::uint64_t connection);

  // False: lookup sent what was not asked for.
  [[nodiscard]] bool take(const Frame& frame);
  // Every exchange is over.
  void on_channel_lost();
  // What lookup has not answered by its deadline is over, there too.
  void expire(EventChannel* channel, Clock::time_point now);

 private:
  struct Exchange {
    std::uint64_t id = 0;
    std::optional<Clock::time_point> deadline;  // none: it is the client's turn
  };
  using Exchanges = std::unordered_map<std::uint64_t, Exchange>;  // by connection

  void finish(Exchanges::iterator exchange, session::AuthStep step);

  Asker& asker_;
  std::uint64_t last_id_ = 0;
  Exchanges exchanges_;
  std::unordered_map<std::uint64_t, std::uint64_t> connections_;  // by the exchange's id
};

}  // namespace lmtpd::frontend
