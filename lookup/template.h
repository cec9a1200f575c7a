// lookup/template.h -- the % templates of query, select_function and result_format.
//
// pgsql_table(5): %s the whole, %u the local part (all of it where there is no @), %d the domain,
// %1 to %9 the domain's labels counted from the right; the last @ divides. %% is a percent sign. In
// a query upper and lower case are one; in a result_format lower case is the value, upper case and
// digits are the key. A local part is taken with its quotes.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lmtpd/base/result.h"

namespace lmtpd::lookup {

// Views of a key or value, which must outlive it.
struct Parts {
  explicit Parts(std::string_view text);
  // Its label number `n` (1 to 9) from the right; empty where there is none.
  [[nodiscard]] std::string_view label(int n) const;

  std::string_view whole;
  std::string_view local;
  std::optional<std::string_view> domain;
};

class Template {
 public:
  struct Piece {
    std::string text;      // where placeholder is 0
    char placeholder = 0;  // one of suSUdD1..9
  };

  // Fails with lookup_failed where another character follows a %.
  [[nodiscard]] static Result<Template> parse(std::string_view text);

  [[nodiscard]] const std::vector<Piece>& pieces() const { return pieces_; }

  // A query template: false for keys that it is not sent for. Empty keys; those without a domain
  // where it needs one, without a local part where it needs that, or with too few labels.
  [[nodiscard]] bool asks_for(const Parts& key) const;
  // A result_format: false for keys that lack what its upper-case placeholders need.
  [[nodiscard]] bool formats_for(const Parts& key) const;
  // A result_format: `value` in it; nullopt where the value lacks what it needs, and is dropped.
  [[nodiscard]] std::optional<std::string> format(const Parts& value, const Parts& key) const;

 private:
  struct Needs {
    bool domain = false;
    bool local = false;
    int labels = 0;
    [[nodiscard]] bool met_by(const Parts& parts) const;
  };

  std::vector<Piece> pieces_;
  Needs lower_;  // of the value; of the key in a query
  Needs upper_;  // of the key
};

// What stands for a placeholder; `lower` and `upper` are the same in a query.
[[nodiscard]] std::string_view substitute(char placeholder, const Parts& lower, const Parts& upper);

}  // namespace lmtpd::lookup
