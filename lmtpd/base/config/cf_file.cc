#include "lmtpd/base/config/cf_file.h"

#include <fmt/format.h>

#include <map>

#include "lmtpd/base/config/complaints.h"

namespace lmtpd {
namespace {

constexpr std::string_view kBlanks = " \t\r\n\v\f";

std::string_view trimmed(std::string_view text) {
  const std::size_t first = text.find_first_not_of(kBlanks);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlanks) - first + 1);
}

struct LogicalLine {
  std::string text;
  std::size_t line = 0;
};

// Joins continuation lines; comments and blank lines may stand between them (readlline(3)).
class LineReader {
 public:
  explicit LineReader(std::string_view text) : rest_(text) {}

  // False at the end. A line that continues nothing comes with its leading blank.
  bool next(LogicalLine& logical) {
    logical = {};
    while (!rest_.empty()) {
      const std::size_t end = rest_.find('\n');
      const std::string_view physical = rest_.substr(0, end);
      const bool continues = kBlanks.find(rest_.front()) != std::string_view::npos;
      const std::string_view content = trimmed(physical);
      const bool ignored = content.empty() || content.front() == '#';
      if (!logical.text.empty() && !ignored && !continues) return true;
      rest_.remove_prefix(end == std::string_view::npos ? rest_.size() : end + 1);
      ++line_;
      if (ignored) continue;
      if (logical.text.empty()) logical.line = line_;
      logical.text += physical;
    }
    return !logical.text.empty();
  }

 private:
  std::string_view rest_;
  std::size_t line_ = 0;
};

}  // namespace

Result<CfFile> parse_cf_file(std::string_view path, std::string_view text) {
  CfFile file;
  Complaints complaints;
  std::map<std::string, std::size_t, std::less<>> index_of;
  LineReader lines(text);
  LogicalLine logical;
  while (lines.next(logical)) {
    const std::string where = fmt::format("{}:{}", path, logical.line);
    const std::string_view line = logical.text;
    if (line.find('\0') != std::string_view::npos) {
      complaints.add(where, "the line holds a NUL octet");
      continue;
    }
    // Postfix warns and goes on, so its main.cf may have such a line.
    if (kBlanks.find(line.front()) != std::string_view::npos) {
      file.warnings.push_back(where + ": ignored: a first line must not start with a blank");
      continue;
    }
    const std::size_t equals = line.find('=');
    const std::string_view name = trimmed(line.substr(0, equals));
    if (name.empty()) {
      complaints.add(where, "missing name before \"=\"");
    } else if (equals == std::string_view::npos ||
               name.find_first_of(kBlanks) != std::string_view::npos) {
      complaints.add(
          where,
          fmt::format("missing \"=\" after \"{}\"",
                      name.substr(0, std::min<std::size_t>(name.find_first_of(kBlanks), 64))));
    } else {
      Assignment made{std::string(name), std::string(trimmed(line.substr(equals + 1))),
                      logical.line};
      const auto [known, fresh] = index_of.try_emplace(made.name, file.assignments.size());
      if (fresh) {
        file.assignments.push_back(std::move(made));
      } else {
        Assignment& earlier = file.assignments[known->second];
        file.warnings.push_back(
            fmt::format("{}: {}: overrides the value of line {}", where, made.name, earlier.line));
        earlier = std::move(made);
      }
    }
  }
  if (!complaints.empty()) return complaints.as_failure();
  return file;
}

}  // namespace lmtpd
