#include "bench/floor/inboxes.h"

#include <utility>

namespace lmtpd::floor {

Inboxes::Inboxes(Trial& trial, bool shared)
    : trial_(trial), inboxes_(shared ? 1 : trial.maildirs().owners()) {
  for (std::size_t i = 0; i < trial.in_flight(); ++i) {
    if (auto message = trial.next()) {
      ++in_flight_;
      put(std::move(message));
    }
  }
}

Messages Inboxes::take(std::size_t index) {
  Inbox& inbox = inboxes_[index];
  std::unique_lock lock(mutex_);
  inbox.some.wait(lock, [&] { return !inbox.messages.empty() || in_flight_ == 0; });
  return std::exchange(inbox.messages, {});
}

void Inboxes::delivered(const Messages& messages) {
  for (const auto& message : messages) {
    trial_.delivered(*message);
    auto next = trial_.next();
    const std::lock_guard lock(mutex_);
    if (next) {
      put(std::move(next));
    } else if (--in_flight_ == 0) {
      for (auto& inbox : inboxes_) inbox.some.notify_all();
    }
  }
}

void Inboxes::put(MessagePtr message) {
  Inbox& inbox = inboxes_[message->maildir->owner % inboxes_.size()];
  inbox.messages.push_back(std::move(message));
  inbox.some.notify_one();
}

}  // namespace lmtpd::floor
