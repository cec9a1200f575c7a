// lookup/memory_table.h -- a table whose keys and values are all in memory (inline:, texthash:).
#pragma once

#include <string>
#include <string_view>
#include <unordered_map>

#include "lookup/configured_table.h"

namespace lmtpd::lookup {

class MemoryTable : public ConfiguredTable {
 public:
  using ConfiguredTable::ConfiguredTable;

  // Folds `key`; both must be valid UTF-8. False, and nothing changes, where the key is there.
  bool insert(std::string_view key, std::string_view value);
  // The same, and the last value of a key wins.
  void replace(std::string_view key, std::string_view value);

  std::optional<Answer> lookup(std::string_view key, Asker& asker, std::uint64_t id) override;
  std::optional<Answer> check(Asker& asker, std::uint64_t id) override;
  [[nodiscard]] Origin origin(std::string_view) const override { return Origin::memory; }

 private:
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view key) const {
      return std::hash<std::string_view>()(key);
    }
  };
  std::unordered_map<std::string, std::string, Hash, std::equal_to<>> values_;
};

}  // namespace lmtpd::lookup
