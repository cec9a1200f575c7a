// lmtpd/base/config/expand.h -- `$name` and its relatives in a parameter's value, as postconf(5)
// has them: $name ${name} $(name) ${name?text} ${name:text} ${name?{text}:{text}} $$, and
// comparisons
// ${{text} == {text} ? {text} : {text}} with == != < <= >= > and their `level` forms.
//
// Stricter than Postfix in one point: a plain $name that nothing defines is an error, not empty.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <vector>

namespace lmtpd {

// Octets that one value may have after its expansion.
inline constexpr std::size_t kLongestValue = 32'768;

template <class T>
using Expanded = tl::expected<T, std::string>;

// A parameter's expanded value; nullopt: nothing defines it.
using LookupName = std::function<Expanded<std::optional<std::string>>(std::string_view name)>;

[[nodiscard]] Expanded<std::string> expand(std::string_view text, const LookupName& lookup);

// Every name that `text` refers to, those of branches not taken included.
[[nodiscard]] Expanded<std::vector<std::string>> references(std::string_view text);

}  // namespace lmtpd
