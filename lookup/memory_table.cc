#include "lookup/memory_table.h"

#include "lookup/fold.h"

namespace lmtpd::lookup {

bool MemoryTable::insert(std::string_view key, std::string_view value) {
  return values_.emplace(fold(key), value).second;
}

void MemoryTable::replace(std::string_view key, std::string_view value) {
  values_.insert_or_assign(fold(key), std::string(value));
}

std::optional<Answer> MemoryTable::lookup(std::string_view key, Asker&, std::uint64_t) {
  const auto found = values_.find(key);
  if (found == values_.end()) return Absent{};
  return Found{{found->second}};
}

std::optional<Answer> MemoryTable::check(Asker&, std::uint64_t) { return Absent{}; }

}  // namespace lmtpd::lookup
