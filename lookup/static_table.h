// lookup/static_table.h -- static:VALUE: every key has that value.
#pragma once

#include <memory>
#include <string_view>

#include "lmtpd/base/result.h"
#include "lookup/configured_table.h"

namespace lmtpd::lookup {

class StaticTable : public ConfiguredTable {
 public:
  // `value` as it stands behind `static:`; within braces where it holds white space or commas.
  // Fails with lookup_failed where it is empty or no UTF-8.
  [[nodiscard]] static Result<std::unique_ptr<StaticTable>> make(std::string name,
                                                                 std::string_view value);

  std::optional<Answer> lookup(std::string_view key, Asker& asker, std::uint64_t id) override;
  std::optional<Answer> check(Asker& asker, std::uint64_t id) override;
  [[nodiscard]] Origin origin(std::string_view) const override { return Origin::memory; }

 private:
  StaticTable(std::string name, std::string value)
      : ConfiguredTable(std::move(name)), value_(std::move(value)) {}
  std::string value_;
};

}  // namespace lmtpd::lookup
