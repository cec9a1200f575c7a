// lookup/files/match_list.h -- a list of names, /files, type:tables and their negations by !
// (postconf(5), "domain, host or network list"; no parent domains, no patterns).
//
// The first item that matches decides; after the last one there is no match.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "lookup/files/file_reader.h"

namespace lmtpd::lookup {

struct MatchItem {
  bool negated;
  bool is_table;
  std::string text;  // a name as spelt, or a table reference
  bool operator==(const MatchItem&) const = default;
};

// Puts the items of each /file in its place. Fails with lookup_failed on a
// file that cannot be read, on files that name one another without end, and on a ! with nothing
// behind it.
[[nodiscard]] Result<std::vector<MatchItem>> parse_match_list(std::string_view list,
                                                              const FileReader& read_file);

}  // namespace lmtpd::lookup
