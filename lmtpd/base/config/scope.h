// lmtpd/base/config/scope.h -- what names mean within one configuration file.
//
// A scope evaluates names: those that its file sets, and behind them fallbacks in order. Each name
// is evaluated once; a name that leads to itself is an error.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lmtpd/base/config/cf_file.h"
#include "lmtpd/base/config/expand.h"

namespace lmtpd {

class Scope {
 public:
  // Text that is still to be expanded in this scope, or (final) a value that is not.
  struct Definition {
    std::string text;
    bool final = false;
  };
  using Fallback = std::function<Expanded<std::optional<Definition>>(std::string_view name)>;

  // `path` is for messages.
  Scope(std::string path, std::vector<Assignment> assignments);

  void add_fallback(Fallback fallback);

  // nullopt: nothing defines it.
  [[nodiscard]] Expanded<std::optional<std::string>> value(std::string_view name);
  // Expands text as it would stand in the file.
  [[nodiscard]] Expanded<std::string> expanded(std::string_view text);

  // The assignment in the file itself, or nullptr.
  [[nodiscard]] const Assignment* find(std::string_view name) const;
  [[nodiscard]] std::string origin(const Assignment& assignment) const;
  [[nodiscard]] const std::vector<Assignment>& assignments() const { return assignments_; }
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  [[nodiscard]] Expanded<std::optional<Definition>> definition(std::string_view name) const;

  std::string path_;
  std::vector<Assignment> assignments_;
  std::map<std::string, std::size_t, std::less<>> index_of_;
  std::vector<Fallback> fallbacks_;
  std::map<std::string, std::string, std::less<>> values_;
  std::vector<std::string> under_way_;
};

}  // namespace lmtpd
