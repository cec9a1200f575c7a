// lookup/files/table_files.h -- the files behind tables and lists.
//
// Opens no table and links no library, so that master can tell which files a role needs.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "lmtpd/base/config/table_ref.h"
#include "lookup/files/file_reader.h"

namespace lmtpd::lookup {

// Every file that is read to make these items: a list's own, a table's, those in its `domain` list,
// and those of the tables named there; each once, in byte order. Databases are not among them.
[[nodiscard]] Result<std::vector<std::string>> files_of(const MatchList& items,
                                                        const FileReader& read_file);

// Words for the log where a hash:, btree:, lmdb: or cdb: table's source is newer than the database
// beside it: Postfix still answers from that one. Uses stat(2).
[[nodiscard]] std::optional<std::string> stale_database(const TableRef& table);

}  // namespace lmtpd::lookup
