// lookup/files/table_reference.h -- TYPE:NAME as the configuration names a table, and the files
// behind it.
//
// Opens no table and links no library, so that master can tell which files a role needs.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lookup/files/file_reader.h"

namespace lmtpd::lookup {

enum class TableType { pgsql, sqlite, static_value, inline_pairs, text_file };

struct TableReference {
  TableType type;
  std::string type_name;  // as spelt; `hash`, `btree`, `lmdb` and `cdb` are text files too
  std::string name;       // what stands behind the colon
};

// A leading `proxy:` counts for nothing. Fails with lookup_failed on other types and on files that
// are no absolute path, with words that say what to do.
[[nodiscard]] Result<TableReference> parse_table_reference(std::string_view reference);

// Every file that making the table will read: the table's own, those in its `domain` list, and
// those of the tables named there; each once. Databases are not among them.
[[nodiscard]] Result<std::vector<std::string>> files_of_table(std::string_view reference,
                                                              const FileReader& read_file);

// Words for the log where a hash:, btree:, lmdb: or cdb: table's source is newer than the database
// beside it: Postfix still answers from that one. Uses stat(2).
[[nodiscard]] std::optional<std::string> stale_database(std::string_view reference);

}  // namespace lmtpd::lookup
