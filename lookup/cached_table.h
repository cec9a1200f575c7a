// lookup/cached_table.h -- a table with a cache in front, and one query for many askers.
//
// A hit is answered at once; if its life is about to end the table behind is asked meanwhile, so
// that nobody waits for an answer that is in use. Otherwise the table is asked, once for all who
// ask for the same key. Failures are handed on and never kept. An answer whose query was sent
// before its key was forgotten is handed on too, but not kept: the row may have changed after the
// table read it.
//
// An answer past its life stands in for one that cannot be had, and says that it was. While
// a database that the table needs is away, and right after (Availability), nobody waits who has
// one, and the new one is asked for meanwhile. A database that takes less than a moment is waited
// for, and what it answers is the truth. Nothing stands in for what a table has and cannot be used.
// Not thread-safe.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "lookup/answer_cache.h"
#include "lookup/availability.h"
#include "lookup/recent_changes.h"
#include "lookup/table.h"

namespace lmtpd::lookup {

class CachedTable final : public Table, private Asker, private Availability::Listener {
 public:
  // What all tables share; it outlives them.
  struct Shared {
    AnswerCache& cache;
    const RecentChanges& changes;
  };

  // `number` is the table's own in the cache.
  CachedTable(std::unique_ptr<Table> table, const Shared& shared, std::uint32_t number);
  ~CachedTable() override;
  CachedTable(const CachedTable&) = delete;
  CachedTable& operator=(const CachedTable&) = delete;

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
    std::vector<Waiter> waiters{};
    bool outdated = false;
  };
  using Flights = std::map<std::uint64_t, Flight>;

  void on_answer(std::uint64_t id, const Answer& answer) override;
  // Nobody waits any longer who need not.
  void on_away() override;
  // Has the table asked for the key, unless that is under way. Its answer where it has it at once.
  std::optional<Answer> fly(std::string_view key);
  // What an answer says of the table, and into the cache with it.
  void note(std::string_view key, const Answer& answer, bool keep);
  // The answer to hand on: what came, or what stands in for it.
  [[nodiscard]] Answer settled(std::string_view key, const Answer& answer);
  [[nodiscard]] std::optional<Answer> stand_in(std::string_view key);
  [[nodiscard]] bool old_answers_will_do() const;
  void outdate(Flights::iterator flight);

  std::unique_ptr<Table> table_;
  std::vector<Availability*> databases_;
  Shared shared_;
  std::uint32_t number_;
  std::uint64_t next_flight_ = 0;
  Flights flights_;
  std::unordered_map<std::string_view, std::uint64_t> flight_of_;  // views of Flight::key
  std::uint64_t failures_ = 0;
  std::uint64_t stood_in_ = 0;  // since the last line about it
  std::chrono::steady_clock::time_point next_log_{};
};

}  // namespace lmtpd::lookup
