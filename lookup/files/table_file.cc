#include "lookup/files/table_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "lmtpd/base/config/values.h"
#include "lmtpd/base/log.h"

namespace lmtpd::lookup {

Result<TableFile> TableFile::parse(std::string path, std::string_view text,
                                   std::span<const std::string_view> known) {
  auto parsed = parse_cf_file(path, text);
  if (!parsed) return tl::unexpected(std::move(parsed.error()));
  TableFile file(std::move(path));
  file.warnings_ = std::move(parsed->warnings);
  for (Assignment& made : parsed->assignments) {
    if (std::find(known.begin(), known.end(), made.name) == known.end()) {
      file.warnings_.push_back(fmt::format("{}:{}: {}: unknown parameter, ignored", file.path_,
                                           made.line, escaped(made.name, 60)));
      continue;
    }
    std::string name = made.name;
    file.parameters_.emplace(std::move(name), std::move(made));
  }
  return file;
}

std::string TableFile::text(std::string_view name, std::string_view otherwise) const {
  const auto found = parameters_.find(name);
  return found == parameters_.end() ? std::string(otherwise) : found->second.value;
}

Result<std::string> TableFile::required_text(std::string_view name) const {
  const auto found = parameters_.find(name);
  if (found == parameters_.end()) return error(name, "missing");
  if (found->second.value.empty()) return error(name, "empty");
  return found->second.value;
}

Result<int> TableFile::number(std::string_view name, int otherwise) const {
  const auto found = parameters_.find(name);
  if (found == parameters_.end()) return otherwise;
  const auto parsed = parse_number(found->second.value, 0, std::numeric_limits<int>::max());
  if (!parsed) return error(name, escaped(parsed.error()));
  return static_cast<int>(*parsed);
}

tl::unexpected<Error> TableFile::error(std::string_view name, std::string_view what) const {
  const auto found = parameters_.find(name);
  const std::string where =
      found == parameters_.end() ? path_ : fmt::format("{}:{}", path_, found->second.line);
  return fail(Reason::lookup_failed, fmt::format("{}: {}: {}", where, name, what));
}

}  // namespace lmtpd::lookup
