// lookup/configured_table.h -- a table as the configuration names it, which can be checked.
#pragma once

#include <optional>
#include <string>
#include <utility>

#include "lookup/table.h"

namespace lmtpd::lookup {

class ConfiguredTable : public Table {
 public:
  explicit ConfiguredTable(std::string name) : name_(std::move(name)) {}

  // Has the database prepare the table's query, or does nothing for a table without a database.
  // Answers as lookup() does: Absent where all is well, else Unavailable.
  [[nodiscard]] virtual std::optional<Answer> check(Asker& asker, std::uint64_t id) = 0;

  [[nodiscard]] const std::string& name() const override { return name_; }

 private:
  std::string name_;
};

}  // namespace lmtpd::lookup
