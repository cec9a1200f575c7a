#include "lmtpd/base/config/table_ref.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "lmtpd/base/config/values.h"
#include "lmtpd/base/log.h"

namespace lmtpd {
namespace {

struct KnownType {
  std::string_view name;
  TableKind kind;
};
constexpr auto kTypes = std::to_array<KnownType>({
    {"pgsql", TableKind::pgsql},
    {"sqlite", TableKind::sqlite},
    {"static", TableKind::static_value},
    {"inline", TableKind::inline_pairs},
    {"texthash", TableKind::text_file},
    {"hash", TableKind::text_file},
    {"btree", TableKind::text_file},
    {"lmdb", TableKind::text_file},
    {"cdb", TableKind::text_file},
});

// What to do about a type of Postfix's that is none of the above.
std::string_view advice(std::string_view type) {
  if (type == "regexp" || type == "pcre" || type == "cidr") {
    return "write the addresses out in a texthash: file, or put them in the database";
  }
  if (type == "unionmap" || type == "pipemap" || type == "randmap") {
    return "name the tables themselves";
  }
  if (type == "dbm" || type == "sdbm" || type == "internal" || type == "unix") {
    return "print its entries with `postmap -s` into a texthash: file";
  }
  return "use pgsql, sqlite, texthash, hash, inline or static";
}

}  // namespace

Parsed<TableRef> parse_table_ref(std::string_view word) {
  const std::string shown = escaped(word.substr(0, word.find('{')));
  if (word.starts_with("proxy:")) word.remove_prefix(6);
  const std::size_t colon = word.find(':');
  if (colon == std::string_view::npos) {
    return tl::unexpected(fmt::format(
        "\"{}\" names no table; write type:name, as in pgsql:/etc/postfix/virtual.cf", shown));
  }
  const std::string_view type = word.substr(0, colon);
  const auto* const known =
      std::find_if(kTypes.begin(), kTypes.end(),
                   [&](const KnownType& candidate) { return candidate.name == type; });
  if (known == kTypes.end()) {
    return tl::unexpected(fmt::format(
        "{}: lmtpd has no tables of type \"{}\": {}. Set the parameter in lmtpd.cf, which wins "
        "over main.cf, or leave this table to Postfix",
        shown, escaped(type, 60), advice(type)));
  }
  TableRef table{known->kind, std::string(type), std::string(word.substr(colon + 1))};
  if (table.name.empty()) {
    return tl::unexpected(fmt::format("{}: nothing stands behind the colon", shown));
  }
  if (table.kind == TableKind::inline_pairs && !braced(table.name)) {
    return tl::unexpected(
        fmt::format("{}: it is written inline:{{key=value, {{key = text}}}}", shown));
  }
  if (table.has_file() && !table.name.starts_with('/')) {
    const bool sql = table.kind != TableKind::text_file;
    return tl::unexpected(
        fmt::format("{}: the file's path must be absolute{}", shown,
                    sql ? "; move its parameters from main.cf to a file of their own" : ""));
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
