#include "lmtpd/base/config/cf_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "lmtpd/base/blanks.h"
#include "lmtpd/base/config/complaints.h"
#include "lmtpd/base/config/logical_lines.h"
#include "lmtpd/base/log.h"

namespace lmtpd {
namespace {

// NAME = VALUE, both without blanks at their ends.
tl::expected<Assignment, std::string> parse_assignment(const LogicalLine& line) {
  const std::string_view text = line.text;
  if (text.find('\0') != std::string_view::npos) {
    return tl::unexpected(std::string("the line holds a NUL octet"));
  }
  const std::size_t equals = text.find('=');
  const std::string_view name = trimmed(text.substr(0, equals));
  if (name.empty()) return tl::unexpected(std::string("missing name before \"=\""));
  const auto* const blank = std::find_if(name.begin(), name.end(), is_blank);
  if (equals == std::string_view::npos || blank != name.end()) {
    return tl::unexpected(
        fmt::format("missing \"=\" after \"{}\"", escaped({name.begin(), blank}, 64)));
  }
  return Assignment{std::string(name), std::string(trimmed(text.substr(equals + 1))), line.number};
}

}  // namespace

Result<CfFile> parse_cf_file(std::string_view path, std::string_view text) {
  CfFile file;
  Complaints complaints;
  std::map<std::string, std::size_t, std::less<>> index_of;
  const LogicalLines read = logical_lines(text);
  // Postfix warns and goes on, so its own files may have such a line.
  if (read.ignored != 0) {
    file.warnings.push_back(fmt::format("{}:{}: ignored: a first line must not start with a blank",
                                        path, read.ignored));
  }
  for (const LogicalLine& line : read.lines) {
    const std::string where = fmt::format("{}:{}", path, line.number);
    auto made = parse_assignment(line);
    if (!made) {
      complaints.add(where, made.error());
      continue;
    }
    const auto [known, fresh] = index_of.try_emplace(made->name, file.assignments.size());
    if (fresh) {
      file.assignments.push_back(*std::move(made));
    } else {
      Assignment& earlier = file.assignments[known->second];
      file.warnings.push_back(
          fmt::format("{}: {}: overrides the value of line {}", where, made->name, earlier.line));
      earlier = *std::move(made);
    }
  }
  if (!complaints.empty()) return complaints.as_failure();
  return file;
}

}  // namespace lmtpd
