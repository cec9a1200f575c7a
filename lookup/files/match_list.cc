#include "lookup/files/match_list.h"

#include <fmt/format.h>

#include "lmtpd/base/log.h"
#include "lookup/files/list_items.h"
#include "lookup/files/logical_lines.h"

namespace lmtpd::lookup {
namespace {

constexpr int kDeepest = 8;

Result<void> append(std::vector<MatchItem>& items, std::string_view list, bool negated,
                    const FileReader& read_file, int depth) {
  for (const std::string_view item : list_items(list)) {
    std::string_view rest = item;
    bool item_negated = negated;
    for (; rest.starts_with('!'); rest.remove_prefix(1)) item_negated = !item_negated;
    if (rest.empty()) {
      return fail(Reason::lookup_failed,
                  fmt::format("\"{}\": nothing behind !", escaped(item, 60)));
    }
    if (!rest.starts_with('/')) {
      const bool is_table = rest.find(':') != std::string_view::npos;
      items.push_back({item_negated, is_table, std::string(rest)});
      continue;
    }
    if (depth == kDeepest) {
      return fail(Reason::lookup_failed, fmt::format("{}: files name one another more than {} deep",
                                                     escaped(rest), kDeepest));
    }
    const auto text = read_file(std::string(rest));
    if (!text) return tl::unexpected(text.error());
    for (const LogicalLine& line : logical_lines(*text)) {
      auto appended = append(items, line.text, item_negated, read_file, depth + 1);
      if (!appended) return appended;
    }
  }
  return {};
}

}  // namespace

Result<std::vector<MatchItem>> parse_match_list(std::string_view list,
                                                const FileReader& read_file) {
  std::vector<MatchItem> items;
  const auto appended = append(items, list, false, read_file, 0);
  if (!appended) return tl::unexpected(appended.error());
  return items;
}

}  // namespace lmtpd::lookup
