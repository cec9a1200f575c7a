// lmtpd/base/config/parameter_loader.h -- one configuration being read: the two files as scopes,
// one behind the other, and every parameter's value from them.
//
// Names are found, for lmtpd.cf: in lmtpd.cf, in main.cf where one is read, in our defaults, in
// Postfix's; for main.cf: in main.cf, in Postfix's defaults. Used once, for one Parameters.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lmtpd/base/config/complaints.h"
#include "lmtpd/base/config/parameter_table.h"
#include "lmtpd/base/config/parameters.h"
#include "lmtpd/base/config/scope.h"

namespace lmtpd {

class ParameterLoader {
 public:
  // Both outlive the loader.
  ParameterLoader(const Parameters::ReadFile& read_file, const std::string& host_name)
      : read_file_(read_file), host_name_(host_name) {}
  // The scopes hold pointers to it.
  ParameterLoader(const ParameterLoader&) = delete;
  ParameterLoader& operator=(const ParameterLoader&) = delete;

  struct Value {
    std::string text;
    std::string origin;
    bool changed = false;  // differs from the default
  };

  // The values of all parameters in kParameters' order; not to be used if there are complaints().
  std::vector<Value> load(const std::string& path);

  [[nodiscard]] const Complaints& complaints() const { return complaints_; }
  [[nodiscard]] std::vector<std::string> take_warnings() { return std::move(warnings_); }

 private:
  using Definition = Expanded<std::optional<Scope::Definition>>;

  std::unique_ptr<Scope> read_scope(const std::string& path);
  void read_main(const std::string& directory);
  void add_own_fallbacks();
  void check_names();
  Value evaluate(const ParameterInfo& row);

  // Where a name stands, for lmtpd.cf, behind lmtpd.cf itself.
  [[nodiscard]] Definition from_main(std::string_view name);
  [[nodiscard]] Definition from_host(Scope& scope, std::string_view name, bool domain_is_set);
  [[nodiscard]] Definition from_defaults(std::string_view name);

  [[nodiscard]] Expanded<std::string> default_of(const ParameterInfo& row);
  [[nodiscard]] Expanded<std::string> first_line(const std::string& path);
  [[nodiscard]] bool set_in_main(std::string_view name) const;
  [[nodiscard]] bool domain_is_set() const;
  [[nodiscard]] std::string origin(std::string_view name) const;
  void complain(std::string_view name, std::string_view what);

  const Parameters::ReadFile& read_file_;
  const std::string& host_name_;
  std::unique_ptr<Scope> own_;
  std::unique_ptr<Scope> main_;  // null: none is read
  Complaints complaints_;
  std::vector<std::string> warnings_;
};

}  // namespace lmtpd
