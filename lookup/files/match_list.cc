#include "lookup/files/match_list.h"

#include <fmt/format.h>

#include "lmtpd/base/config/logical_lines.h"
#include "lmtpd/base/config/values.h"
#include "lmtpd/base/log.h"

namespace lmtpd::lookup {
namespace {

constexpr int kDeepestFile = 8;

Result<void> append(MatchList& items, const MatchList& list, bool negated,
                    const FileReader& read_file, int depth) {
  for (MatchItem item : list) {
    item.negated = item.negated != negated;
    if (item.kind != MatchItem::Kind::file) {
      items.push_back(std::move(item));
      continue;
    }
    if (depth == kDeepestFile) {
      return fail(Reason::lookup_failed, fmt::format("{}: files name one another more than {} deep",
                                                     escaped(item.name), kDeepestFile));
    }
    const auto text = read_file(item.name);
    if (!text) return tl::unexpected(text.error());
    for (const LogicalLine& line : logical_lines(*text).lines) {
      const auto parsed = parse_match_list(line.text);
      if (!parsed) {
        return fail(Reason::lookup_failed,
                    fmt::format("{}:{}: {}", item.name, line.number, escaped(parsed.error())));
      }
      auto appended = append(items, *parsed, item.negated, read_file, depth + 1);
      if (!appended) return appended;
    }
  }
  return {};
}

}  // namespace

Result<MatchList> with_files_read(const MatchList& list, const FileReader& read_file) {
  MatchList items;
  const auto appended = append(items, list, false, read_file, 0);
  if (!appended) return tl::unexpected(appended.error());
  return items;
}

}  // namespace lmtpd::lookup
