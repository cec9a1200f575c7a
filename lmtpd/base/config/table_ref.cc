#include "lmtpd/base/config/table_ref.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "lmtpd/base/config/values.h"

namespace lmtpd {
namespace {

constexpr auto kTypes = std::to_array<std::string_view>(
    {"pgsql", "sqlite", "static", "inline", "texthash", "hash", "btree", "lmdb", "cdb"});

}  // namespace

Parsed<TableRef> parse_table_ref(std::string_view word) {
  const std::string_view whole = word;
  if (word.starts_with("proxy:")) word.remove_prefix(6);
  const std::size_t colon = word.find(':');
  if (colon == std::string_view::npos) {
    return tl::unexpected(fmt::format(
        "\"{}\" names no table; write type:name, as in pgsql:/etc/postfix/virtual.cf", whole));
  }
  TableRef table{std::string(word.substr(0, colon)), std::string(word.substr(colon + 1))};
  if (std::find(kTypes.begin(), kTypes.end(), table.type) == kTypes.end()) {
    return tl::unexpected(fmt::format(
        "{}: lmtpd has no tables of type {}; it has pgsql, sqlite, static, inline and texthash, "
        "and "
        "reads the source file of hash, btree, lmdb and cdb. Set the parameter in lmtpd.cf, which "
        "wins over main.cf, or leave this table to Postfix",
        whole, table.type.empty() ? "\"\"" : table.type));
  }
  if (table.name.empty()) {
    return tl::unexpected(fmt::format("{}: nothing stands behind the colon", whole));
  }
  if (table.type == "inline" && !(table.name.starts_with('{') && table.name.ends_with('}'))) {
    return tl::unexpected(fmt::format("{}: write inline:{{key=value, key=value}}", whole));
  }
  if (table.has_file() && !table.name.starts_with('/')) {
    return tl::unexpected(fmt::format("{}: the file's path must be absolute", whole));
  }
  return table;
}

Parsed<TableList> parse_table_list(std::string_view text) {
  const auto words = split_list(text);
  if (!words) return tl::unexpected(words.error());
  TableList tables;
  for (const std::string_view word : *words) {
    auto table = parse_table_ref(word);
    if (!table) return tl::unexpected(table.error());
    tables.push_back(std::move(*table));
  }
  return tables;
}

Parsed<MatchList> parse_match_list(std::string_view text) {
  const auto words = split_list(text);
  if (!words) return tl::unexpected(words.error());
  MatchList items;
  for (std::string_view word : *words) {
    MatchItem item;
    for (; word.starts_with('!'); word.remove_prefix(1)) item.negated = !item.negated;
    if (word.empty()) return tl::unexpected(std::string("nothing stands behind a \"!\""));
    if (word.starts_with('/')) {
      item.kind = MatchItem::Kind::file;
      item.name = word;
    } else if (!word.starts_with('[') && word.find(':') != std::string_view::npos) {
      item.kind = MatchItem::Kind::table;
      auto table = parse_table_ref(word);
      if (!table) return tl::unexpected(table.error());
      item.table = std::move(*table);
    } else {
      item.name = word;
    }
    items.push_back(std::move(item));
  }
  return items;
}

}  // namespace lmtpd
