// lmtpd/base/config/table_ref.h -- what names a table or a list in a parameter, as postconf(5) has
// it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace lmtpd {

enum class TableKind { pgsql, sqlite, static_value, inline_pairs, text_file };

// One table, "type:name"; a leading `proxy:` is gone. `name` is the absolute path of a file; of
// static: and inline: it is the text behind the colon, braces included.
struct TableRef {
  TableKind kind = TableKind::static_value;
  std::string type;  // as spelt; hash, btree, lmdb and cdb are text files: their source is read
  std::string name;

  [[nodiscard]] std::string text() const { return type + ":" + name; }
  // Whether `name` is a file that the lookup role has to be handed.
  [[nodiscard]] bool has_file() const {
    return kind != TableKind::static_value && kind != TableKind::inline_pairs;
  }
  bool operator==(const TableRef&) const = default;
};

// Asked in order, each key in every table before the next key (maps_find).
using TableList = std::vector<TableRef>;

// One item of a list such as mydestination.
struct MatchItem {
  enum class Kind { name, file, table };
  Kind kind = Kind::name;
  bool negated = false;  // leading `!`: a match here ends the search without success
  std::string name;      // of Kind::name the word, of Kind::file the absolute path
  TableRef table;        // of Kind::table
  bool operator==(const MatchItem&) const = default;
};

// The first item that matches decides (match_list(3)).
using MatchList = std::vector<MatchItem>;

}  // namespace lmtpd
