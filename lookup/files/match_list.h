// lookup/files/match_list.h -- the /files of a list (postconf(5), "domain, host or network list";
// no parent domains, no patterns).
#pragma once

#include "lmtpd/base/config/table_ref.h"
#include "lookup/files/file_reader.h"

namespace lmtpd::lookup {

// `list` with the items of each /file in its place, so that none of Kind::file is left. Fails with
// lookup_failed on a file that cannot be read or holds no list, and on files that name one another
// without end.
[[nodiscard]] Result<MatchList> with_files_read(const MatchList& list, const FileReader& read_file);

}  // namespace lmtpd::lookup
