#include "lookup/texthash_table.h"

#include "lmtpd/base/blanks.h"
#include "lmtpd/base/config/logical_lines.h"
#include "lmtpd/base/log.h"
#include "lmtpd/base/utf8.h"
#include "lookup/memory_table.h"

namespace lmtpd::lookup {
namespace {

// Where the key ends: at the first white space outside quotes; npos where the quotes do not close.
std::size_t key_length(std::string_view line) {
  bool quoted = false;
  for (std::size_t i = 0; i < line.size(); ++i) {
    if (line[i] == '\\') {
      ++i;
    } else if (line[i] == '"') {
      quoted = !quoted;
    } else if (!quoted && is_blank(line[i])) {
      return i;
    }
  }
  return quoted ? std::string_view::npos : line.size();
}

}  // namespace

std::unique_ptr<ConfiguredTable> make_texthash_table(std::string name, std::string_view path,
                                                     std::string_view text) {
  auto table = std::make_unique<MemoryTable>(std::move(name));
  const LogicalLines read = logical_lines(text);
  if (read.ignored != 0) {
    log_warning("{}:{}: a first line must not start with a blank, ignored", path, read.ignored);
  }
  for (const LogicalLine& line : read.lines) {
    const auto warn = [&](std::string_view what) {
      log_warning("{}:{}: {}, ignored", path, line.number, what);
    };
    const std::string_view whole = line.text;
    if (!valid_utf8(whole)) {
      warn("not valid UTF-8");
      continue;
    }
    const std::size_t length = key_length(whole);
    if (length == std::string_view::npos) {
      warn("unbalanced double quote");
      continue;
    }
    const std::string_view key = whole.substr(0, length);
    const std::string_view value = trimmed(whole.substr(length));
    if (value.empty()) {
      warn("expected `key white-space value`");
      continue;
    }
    if (key.back() == ':') {
      log_warning("{}:{}: key ends in a colon: is this an aliases(5) file?", path, line.number);
    }
    if (!table->insert(key, value)) warn("duplicate key");
  }
  return table;
}

}  // namespace lmtpd::lookup
