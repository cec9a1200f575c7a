// lookup/domain_filter.h -- the `domain` parameter in front of a table.
//
// Keys without @, with nothing before it, or with a domain that the list does not match are Absent
// and never reach the table. A list's own table that cannot be asked makes the answer Unavailable.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "lookup/configured_table.h"

namespace lmtpd::lookup {

class DomainFilter final : public ConfiguredTable, private Asker {
 public:
  struct Item {
    bool negated;
    std::string domain;                      // folded; where there is no table
    std::unique_ptr<ConfiguredTable> table;  // asked for the bare domain; any value is a match
  };
  DomainFilter(std::vector<Item> items, std::unique_ptr<ConfiguredTable> table)
      : ConfiguredTable(table->name()), items_(std::move(items)), table_(std::move(table)) {}

  std::optional<Answer> lookup(std::string_view key, Asker& asker, std::uint64_t id) override;
  std::optional<Answer> check(Asker& asker, std::uint64_t id) override;
  // The table's and those of the list's tables.
  [[nodiscard]] std::vector<Availability*> databases() const override;

 private:
  // A question that waits for a table of the list.
  struct Pending {
    std::string key;  // empty: check()
    std::size_t item;
    Asker* asker;
    std::uint64_t id;
  };

  std::optional<Answer> walk(Pending pending);
  std::optional<Answer> walk_check(Pending pending);
  void on_answer(std::uint64_t id, const Answer& answer) override;

  std::vector<Item> items_;
  std::unique_ptr<ConfiguredTable> table_;
  std::uint64_t last_id_ = 0;
  std::unordered_map<std::uint64_t, Pending> pending_;
};

}  // namespace lmtpd::lookup
