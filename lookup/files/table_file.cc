#include "lookup/files/table_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "lmtpd/base/log.h"
#include "lookup/files/logical_lines.h"

namespace lmtpd::lookup {

Result<TableFile> TableFile::parse(std::string path, std::string_view text,
                                   std::span<const std::string_view> known) {
  TableFile file(std::move(path));
  const auto bad_line = [&](int line, std::string_view what) {
    return fail(Reason::lookup_failed, fmt::format("{}, line {}: {}", file.path_, line, what));
  };
  for (const LogicalLine& line : logical_lines(text)) {
    if (line.text.find('\0') != std::string::npos) return bad_line(line.number, "NUL octet");
    const std::string_view whole = line.text;
    const std::size_t equals = whole.find('=');
    const std::string_view name = trimmed(whole.substr(0, equals));
    const bool blank_inside = std::any_of(name.begin(), name.end(), is_space);
    if (equals == std::string_view::npos || blank_inside) {
      const std::string first(name.substr(0, name.find_first_of(" \t\n")));
      return bad_line(line.number,
                      fmt::format("{}: missing '=' after parameter name", escaped(first, 60)));
    }
    if (name.empty()) return bad_line(line.number, "missing parameter name before '='");
    if (std::find(known.begin(), known.end(), name) == known.end()) {
      file.warnings_.push_back(fmt::format("{}, line {}: {}: unknown parameter, ignored",
                                           file.path_, line.number, escaped(name, 60)));
      continue;
    }
    const auto old = file.parameters_.find(name);
    if (old != file.parameters_.end()) {
      file.warnings_.push_back(fmt::format("{}, line {}: {}: given again, replaces line {}",
                                           file.path_, line.number, name, old->second.line));
    }
    file.parameters_.insert_or_assign(
        std::string(name), Parameter{line.number, std::string(trimmed(whole.substr(equals + 1)))});
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
  const std::string& value = found->second.value;
  int parsed = 0;
  const char* end = value.data() + value.size();
  const auto [stopped, failure] = std::from_chars(value.data(), end, parsed);
  if (failure != std::errc() || stopped != end || parsed < 0) {
    return error(name, fmt::format("\"{}\" is not a number", escaped(value, 60)));
  }
  return parsed;
}

tl::unexpected<Error> TableFile::error(std::string_view name, std::string_view what) const {
  const auto found = parameters_.find(name);
  if (found == parameters_.end()) {
    return fail(Reason::lookup_failed, fmt::format("{}: {}: {}", path_, name, what));
  }
  return fail(Reason::lookup_failed,
              fmt::format("{}, line {}: {}: {}", path_, found->second.line, name, what));
}

}  // namespace lmtpd::lookup
