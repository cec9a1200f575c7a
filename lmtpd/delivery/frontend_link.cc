#include "lmtpd/delivery/frontend_link.h"

#include <fmt/format.h>

#include <cstdlib>

#include "lmtpd/base/log.h"
#include "lmtpd/delivery/sealed_body.h"

namespace lmtpd::delivery {
namespace {

Result<void> check_body(const Deliver& message, std::span<const UniqueFd> descriptors) {
  if (descriptors.empty()) {
    if (message.body.size() > kInlineBody || message.body.size() != message.body_size) {
      return fail(Reason::io, fmt::format("body of {} octets has {} in its message",
                                          message.body_size, message.body.size()));
    }
    return {};
  }
  if (descriptors.size() != 1 || !message.body.empty()) {
    return fail(Reason::io, fmt::format("body comes as {} descriptors and {} octets",
                                        descriptors.size(), message.body.size()));
  }
  return check_sealed_body(descriptors[0].get(), message.body_size);
}

}  // namespace

Result<void> FrontendLink::accept(const Deliver& message, std::span<const UniqueFd> descriptors) {
  if (left_) return fail(Reason::io, "delivery behind Left");
  if (message.deliveries.empty()) return fail(Reason::io, "message without a delivery");
  Result<void> checked = check_body(message, descriptors);
  if (!checked) return checked;

  const bool in_memfd = !descriptors.empty();
  if (unanswered_.size() + message.deliveries.size() > kDeliveryWindow) {
    return fail(Reason::io, fmt::format("more than {} deliveries unanswered", kDeliveryWindow));
  }
  if (in_memfd && in_memfd_.size() >= kDescriptorWindow) {
    return fail(Reason::io, fmt::format("more than {} memfds unanswered", kDescriptorWindow));
  }
  const std::uint64_t number = in_memfd ? ++last_message_ : 0;
  for (const Delivery& delivery : message.deliveries) {
    if (!unanswered_.emplace(delivery.id, number).second) {
      return fail(Reason::io, fmt::format("delivery {} is unanswered already", delivery.id));
    }
  }
  if (in_memfd) in_memfd_.emplace(number, message.deliveries.size());
  return {};
}

Result<void> FrontendLink::accept(const Left&) {
  if (!leaving_ || left_) return fail(Reason::io, "Left without Leaving");
  left_ = true;
  return {};
}

void FrontendLink::answer_stored(std::uint64_t id) { answer(Outcome{.id = id, .stored = true}); }

void FrontendLink::answer_failed(std::uint64_t id, const Error& error) {
  answer(Outcome{.id = id, .reason = error.reason, .text = error.text});
}

void FrontendLink::answer(const Outcome& outcome) {
  const auto known = unanswered_.find(outcome.id);
  if (known == unanswered_.end()) {
    log_error("delivery {} of frontend {} answered twice", outcome.id, instance_);
    std::abort();
  }
  const auto memfd = in_memfd_.find(known->second);
  if (memfd != in_memfd_.end() && --memfd->second == 0) in_memfd_.erase(memfd);
  unanswered_.erase(known);
  channel_.send(outcome);
}

void FrontendLink::take_leave() {
  if (leaving_) return;
  leaving_ = true;
  channel_.send(Leaving{});
}

}  // namespace lmtpd::delivery
