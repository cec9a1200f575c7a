// lmtpd/base/config/parameters.h -- every parameter's value as text: read, layered and expanded.
//
// lmtpd.cf wins over the main.cf in postfix_config_directory (only for parameters that are
// Postfix's, and expanded with that file's own values and Postfix's defaults), which wins over our
// defaults. Master makes one as root; the other roles get it as a string.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "lmtpd/base/result.h"

namespace lmtpd {

class Parameters {
 public:
  // A file's text by its path; fails with a text that names the path and the errno's words.
  using ReadFile = std::function<Result<std::string>(const std::string& path)>;

  // Reads `path` and what it leads to. Fails with every error found, one a line, "file:line:
  // parameter: what"; the error's reason has no meaning.
  [[nodiscard]] static Result<Parameters> load(const std::string& path);
  // The same with files that are not on disk, and a host name (gethostname(2)'s) that is not this
  // one's.
  [[nodiscard]] static Result<Parameters> load(const std::string& path, const ReadFile& read_file,
                                               const std::string& host_name);

  // One string for a channel, and back. deserialise() fails on what serialise() did not make.
  [[nodiscard]] std::string serialise() const;
  [[nodiscard]] static Result<Parameters> deserialise(std::string_view text);

  // The expanded value; `name` is one of parameter_table.h.
  [[nodiscard]] const std::string& value(std::string_view name) const;
  // "FILE:LINE" for messages about the value; of a default the path of lmtpd.cf.
  [[nodiscard]] const std::string& origin(std::string_view name) const;

  // One a line: repeated parameters and the like. Not serialised.
  [[nodiscard]] const std::vector<std::string>& warnings() const { return warnings_; }

  // `name = value` lines, expanded, for what differs from the defaults (lmtpd -n).
  [[nodiscard]] std::string changed() const;

 private:
  struct Entry {
    std::string value;
    std::string origin;
    bool changed = false;  // differs from the default
  };
  std::map<std::string, Entry, std::less<>> entries_;
  std::vector<std::string> warnings_;
};

}  // namespace lmtpd
