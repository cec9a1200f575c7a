// lookup/files/file_reader.h -- how the text of a file that the configuration names is had.
//
// A role without privileges gets such files as descriptors; a check reads them from disk.
#pragma once

#include <functional>
#include <string>

#include "lmtpd/base/result.h"

namespace lmtpd::lookup {

// The text of the file with that absolute path, or an Error whose text names it and why.
using FileReader = std::function<Result<std::string>(const std::string& path)>;

}  // namespace lmtpd::lookup
