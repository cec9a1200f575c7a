// lmtpd/base/config/cf_file.h -- the line syntax of main.cf (postconf(5)) and of table files
// (pgsql_table(5)): `name = value`,
// comments, continuation lines. Knows no parameter and expands nothing.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "lmtpd/base/result.h"

namespace lmtpd {

struct Assignment {
  std::string name;
  std::string value;     // blanks at both ends gone; physical lines joined without the line end
  std::size_t line = 0;  // where it begins, from 1
};

struct CfFile {
  std::vector<Assignment> assignments;  // each name once: the last one won
  std::vector<std::string> warnings;    // "PATH:LINE: ..."
};

// Fails with every error found, one a line, each "PATH:LINE: what"; the reason has no meaning.
[[nodiscard]] Result<CfFile> parse_cf_file(std::string_view path, std::string_view text);

}  // namespace lmtpd
