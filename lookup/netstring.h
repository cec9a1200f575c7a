// lookup/netstring.h -- netstrings as socketmap_table(5) uses them: "LENGTH:OCTETS,".
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace lmtpd::lookup {

class NetstringReader {
 public:
  // A string of more than `longest` octets is refused when its length is read.
  explicit NetstringReader(std::size_t longest) : longest_(longest) {}

  struct Step {
    enum class Kind { need_more, string, malformed };
    Kind kind;
    std::size_t used = 0;  // octets of `input`, to be left out of the next call; of a string only
    std::string_view string{};  // within `input`
  };
  // The first string of `input`, which holds all that came and was not used.
  [[nodiscard]] Step read(std::string_view input) const;

 private:
  std::size_t longest_;
};

[[nodiscard]] std::string netstring(std::string_view text);

}  // namespace lmtpd::lookup
