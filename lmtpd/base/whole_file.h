// lmtpd/base/whole_file.h -- the text of an open file.
#pragma once

#include <string>

#include "lmtpd/base/result.h"

namespace lmtpd {

// From the file's start, wherever the descriptor stands. Fails with lookup_failed and a text that
// begins with `path`; a file over 256 MiB is too large for memory, and wants a database.
[[nodiscard]] Result<std::string> read_whole_file(const std::string& path, int fd);

}  // namespace lmtpd
