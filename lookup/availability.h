// lookup/availability.h -- whether a database answers, for all who ask it.
//
// It is away when it cannot be asked, or has left a question without an answer for kPatience, be
// it only that others are before it (the client response timer of RFC 8767, section 5). It is back
// when it gives a sign of life and all that was under way then has been answered in time, too: one
// answer in time may come out of many that will not. For kReturn from then on it is trusted to
// answer, but not waited for, or everybody would wait at once. What it was asked for and could not
// do is an answer like any other.
//
// Questions are counted from when they are asked, so that what waits for a connection is seen,
// too; whether an answer was in time, from when its question was sent. Not thread-safe.
#pragma once

#include <event2/event.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "lmtpd/base/ticket.h"
#include "lmtpd/event/event_ptr.h"

namespace lmtpd::lookup {

class Availability {
 public:
  static constexpr std::chrono::milliseconds kPatience{1000};
  // Longer than kPatience: if it is away again at once, that is known before anybody waits.
  static constexpr std::chrono::milliseconds kReturn{2000};
  using Now = std::function<Clock::time_point()>;

  class Listener {
   public:
    // It is away from now on. From the loop.
    virtual void on_away() = 0;

   protected:
    ~Listener() = default;
  };

  // A question under way, as long as this lives; its Availability outlives it.
  class Question {
   public:
    Question() = default;  // none
    Question(Question&& other) noexcept
        : of_(std::exchange(other.of_, nullptr)), number_(other.number_) {}
    Question& operator=(Question&& other) noexcept {
      std::swap(of_, other.of_);
      std::swap(number_, other.number_);
      return *this;
    }
    ~Question() {
      if (of_ != nullptr) of_->under_way_.erase(number_);
    }

   private:
    friend Availability;
    Question(Availability& of, std::uint64_t number) : of_(&of), number_(number) {}

    Availability* of_ = nullptr;
    std::uint64_t number_ = 0;
  };

  Availability(event_base* base, Now now);
  Availability(const Availability&) = delete;
  Availability& operator=(const Availability&) = delete;

  // Who listens is told until remove().
  void add(Listener& listener) { listeners_.push_back(&listener); }
  void remove(Listener& listener) { std::erase(listeners_, &listener); }

  [[nodiscard]] Question on_asked();
  void on_sent(const Question& question);
  void on_answer(Question question);
  // It has taken a connection, and answered on it.
  void on_connected() { on_sign_of_life(); }
  // It cannot be asked.
  void on_failure();

  [[nodiscard]] bool is_away() const { return is_away_; }
  // Who has one had better take it than wait.
  [[nodiscard]] bool old_answers_will_do() const { return is_away_ || now_() < return_end_; }

 private:
  struct Times {
    Clock::time_point asked;
    Clock::time_point sent;
  };

  static void on_patience_over(evutil_socket_t, short, void* self) noexcept;
  static void on_tell(evutil_socket_t, short, void* self) noexcept;

  void on_sign_of_life();
  void look_at_oldest();
  void look_again_in(std::chrono::nanoseconds time);
  void tell();

  Now now_;
  std::vector<Listener*> listeners_;
  std::uint64_t next_ = 0;
  std::map<std::uint64_t, Times> under_way_;  // in the order they were asked in
  bool is_away_ = false;
  std::optional<std::uint64_t> back_at_;  // back when all questions before this one have ended
  Clock::time_point return_end_ = Clock::time_point::min();
  EventPtr patience_;
  EventPtr tell_;
};

}  // namespace lmtpd::lookup
