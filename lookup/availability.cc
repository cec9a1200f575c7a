#include "lookup/availability.h"

namespace lmtpd::lookup {

Availability::Availability(event_base* base, Now now)
    : now_(std::move(now)),
      patience_(event_new(base, -1, 0, on_patience_over, this)),
      tell_(event_new(base, -1, 0, on_tell, this)) {}

void Availability::on_patience_over(evutil_socket_t, short, void* self) noexcept {
  static_cast<Availability*>(self)->look_at_oldest();
}
void Availability::on_tell(evutil_socket_t, short, void* self) noexcept {
  static_cast<Availability*>(self)->tell();
}

Availability::Question Availability::on_asked() {
  const Clock::time_point now = now_();
  under_way_.emplace_hint(under_way_.end(), next_, Times{now, now});
  if (evtimer_pending(patience_.get(), nullptr) == 0) look_again_in(kPatience);
  return {*this, next_++};
}

void Availability::on_sent(const Question& question) {
  under_way_.at(question.number_).sent = now_();
}

void Availability::on_answer(Question question) {
  const bool in_time = now_() - under_way_.at(question.number_).sent < kPatience;
  question = Question();
  in_time ? on_sign_of_life() : on_failure();
}

void Availability::on_sign_of_life() {
  if (!is_away_) return;
  if (!back_at_) back_at_ = next_;
  if (!under_way_.empty() && under_way_.begin()->first < *back_at_) return;
  is_away_ = false;
  back_at_.reset();
  return_end_ = now_() + kReturn;
}

void Availability::on_failure() {
  back_at_.reset();
  if (std::exchange(is_away_, true)) return;
  // From the loop: who reports the failure may be in the middle of something.
  event_active(tell_.get(), EV_TIMEOUT, 1);
}

void Availability::look_at_oldest() {
  if (under_way_.empty()) return;
  const auto left = under_way_.begin()->second.asked + kPatience - now_();
  if (left.count() > 0) return look_again_in(left);
  on_failure();
  look_again_in(kPatience);
}

void Availability::look_again_in(std::chrono::nanoseconds time) {
  const timeval wait = to_timeval(time);
  event_add(patience_.get(), &wait);
}

void Availability::tell() {
  if (!is_away_) return;
  for (Listener* listener : listeners_) listener->on_away();
}

}  // namespace lmtpd::lookup
