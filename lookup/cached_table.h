// lookup/cached_table.h -- a table with a cache in front, and one query for many askers.
//
// A hit is answered at once; if its life is about to end the table behind is asked meanwhile, so
// that nobody waits for an answer that is in use. Otherwise the table is asked, once for all who
// ask for the same key. Failures are handed on and never kept. An answer whose query was sent
// before its key was forgotten is handed on too, but not kept: the row may have changed after the
// table read it.
//
// While the table is away, an answer past its life stands in for the one that cannot be had; Absent
// then says that it was. Away is a table that fails, or that leaves a query without an answer for
// kPatience; a table that is merely slow is waited for, and what it answers is the truth. It is
// back when all that was under way at the first answer in time has been answered in time, too; for
// kReturn from then on old answers stand in where the new one is on its way, or everybody would
// wait at once. What a table has and cannot be used is no sign that it is away, and nothing stands
// in for it. Not thread-safe.
#pragma once

#include <event2/event.h>

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "lmtpd/event/event_ptr.h"
#include "lookup/answer_cache.h"
#include "lookup/recent_changes.h"
#include "lookup/table.h"

namespace lmtpd::lookup {

class CachedTable final : public Table, private Asker {
 public:
  static constexpr std::chrono::milliseconds kPatience{1000};
  static constexpr std::chrono::milliseconds kReturn{1000};

  // What all tables share; it outlives them.
  struct Shared {
    event_base* base;
    AnswerCache& cache;
    const RecentChanges& changes;
  };

  // `number` is the table's own in the cache.
  CachedTable(std::unique_ptr<Table> table, const Shared& shared, std::uint32_t number);

  [[nodiscard]] std::optional<Answer> lookup(std::string_view key, Asker& asker,
                                             std::uint64_t id) override;
  [[nodiscard]] const std::string& name() const override { return table_->name(); }

  [[nodiscard]] Origin origin(std::string_view key) const override;
  // How often the table could not be asked.
  [[nodiscard]] std::uint64_t failures() const { return failures_; }

  // The key's row may have changed.
  void forget(std::string_view key);
  // Any row of the domain may have changed, any row at all. Of what is under way only: the cache is
  // for its owner to clear.
  void outdate_domain(std::string_view domain);
  void outdate_all();

 private:
  struct Waiter {
    Asker* asker;
    std::uint64_t id;
  };
  struct Flight {
    std::string key;
    std::chrono::steady_clock::time_point since;
    std::vector<Waiter> waiters{};
    bool outdated = false;
  };
  using Flights = std::map<std::uint64_t, Flight>;  // in the order of their start

  static void on_patience_over(evutil_socket_t, short, void* self) noexcept;
  void on_answer(std::uint64_t id, const Answer& answer) override;
  // Has the table asked for the key, unless that is under way. Its answer where it has it at once.
  std::optional<Answer> fly(std::string_view key);
  // What an answer says of the table, and into the cache with it.
  void note(std::string_view key, const Answer& answer, bool keep);
  // The answer to hand on: what came, or what stands in for it.
  [[nodiscard]] Answer settled(std::string_view key, const Answer& answer);
  [[nodiscard]] std::optional<Answer> stand_in(std::string_view key);
  [[nodiscard]] bool is_away();
  [[nodiscard]] bool may_stand_in();
  void set_away();
  void on_time();
  void watch();
  void lose_patience();
  void outdate(Flights::iterator flight);

  std::unique_ptr<Table> table_;
  Shared shared_;
  std::uint32_t number_;
  std::uint64_t next_flight_ = 0;
  Flights flights_;
  std::unordered_map<std::string_view, std::uint64_t> flight_of_;  // views of Flight::key
  bool away_ = false;
  std::chrono::steady_clock::time_point seen_away_at_{};
  Clock::time_point return_end_ = Clock::time_point::min();
  std::optional<std::uint64_t> back_at_;  // back when all flights before this one have ended
  std::uint64_t given_up_ = 0;            // flights before this one are not waited for any more
  std::uint64_t failures_ = 0;
  std::uint64_t stood_in_ = 0;  // since the last line about it
  std::chrono::steady_clock::time_point next_log_{};
  EventPtr patience_;
};

}  // namespace lmtpd::lookup
