// lookup/cached_table.h -- a table with a cache in front, and one query for many askers.
//
// A hit is answered at once. Otherwise the table behind is asked, once for all who ask for the same
// key meanwhile. Failures are handed on and never kept. An answer whose query was sent before its
// key was forgotten is handed on too, but not kept: the row may have changed after the table read
// it. Not thread-safe.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "lookup/answer_cache.h"
#include "lookup/table.h"

namespace lmtpd::lookup {

class CachedTable final : public Table, private Asker {
 public:
  // `number` is the table's own in `cache`, which outlives it.
  CachedTable(std::unique_ptr<Table> table, AnswerCache& cache, std::uint32_t number);

  [[nodiscard]] std::optional<Answer> lookup(std::string_view key, Asker& asker,
                                             std::uint64_t id) override;
  [[nodiscard]] const std::string& name() const override { return table_->name(); }

  // The key's row may have changed.
  void forget(std::string_view key);

 private:
  struct Waiter {
    Asker* asker;
    std::uint64_t id;
  };
  struct Flight {
    std::string key;
    std::vector<Waiter> waiters;
    bool outdated = false;
  };
  void on_answer(std::uint64_t id, const Answer& answer) override;

  std::unique_ptr<Table> table_;
  AnswerCache& cache_;
  std::uint32_t number_;
  std::uint64_t next_flight_ = 0;
  std::unordered_map<std::uint64_t, Flight> flights_;
  std::unordered_map<std::string_view, std::uint64_t> flight_of_;  // views of Flight::key
};

}  // namespace lmtpd::lookup
