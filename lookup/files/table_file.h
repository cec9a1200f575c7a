// lookup/files/table_file.h -- the parameters of one pgsql_table(5) or sqlite_table(5) file.
//
// A value is taken literally: no quotes, no $name. A name that is given again replaces the first
// one and one that nobody knows is passed over, both with a warning.
#pragma once

#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lmtpd/base/config/cf_file.h"
#include "lmtpd/base/result.h"

namespace lmtpd::lookup {

class TableFile {
 public:
  // `path` is for messages. Fails with lookup_failed on a line that is no parameter.
  [[nodiscard]] static Result<TableFile> parse(std::string path, std::string_view text,
                                               std::span<const std::string_view> known);

  [[nodiscard]] bool has(std::string_view name) const { return parameters_.contains(name); }
  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] const std::vector<std::string>& warnings() const { return warnings_; }

  // The value, or `otherwise` where the file does not have the parameter.
  [[nodiscard]] std::string text(std::string_view name, std::string_view otherwise = "") const;
  // The same of a parameter that must be there and not empty.
  [[nodiscard]] Result<std::string> required_text(std::string_view name) const;
  // A decimal number without sign or anything behind, up to 2^31 - 1.
  [[nodiscard]] Result<int> number(std::string_view name, int otherwise) const;

  // "PATH:LINE: NAME: WHAT"; without the line where the file does not have the parameter.
  [[nodiscard]] tl::unexpected<Error> error(std::string_view name, std::string_view what) const;

 private:
  explicit TableFile(std::string path) : path_(std::move(path)) {}

  std::string path_;
  std::vector<std::string> warnings_;
  std::map<std::string, Assignment, std::less<>> parameters_;
};

}  // namespace lmtpd::lookup
