#include "lookup/alias_results.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>

#include "lmtpd/base/address.h"
#include "lmtpd/base/log.h"
#include "lookup/result_parser.h"

namespace lmtpd::lookup {
namespace {

bool has_control(std::string_view text) {
  return std::any_of(text.begin(), text.end(),
                     [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; });
}

// The text that the alias table's answer to `key` stands for.
std::string complete(const std::string& answer, const PlainAddress& address, const AddressKey& key,
                     std::size_t extension) {
  if (!answer.starts_with('@')) return answer;
  // "@otherdomain": the same user there, without the extension that the key leaves out.
  std::string moved = address.internal();
  if (key.leaves_extension()) {
    moved = PlainAddress{address.local_part.substr(0, extension), address.domain}.internal();
  }
  moved = moved.substr(0, moved.rfind('@')) + answer;
  const std::size_t at = moved.rfind('@');
  return quote_local_part(std::string_view(moved).substr(0, at)) + moved.substr(at);
}

}  // namespace

Result<std::vector<PlainAddress>> alias_results(const PlainAddress& address, const Search& found,
                                                const ResolverSettings& settings) {
  const std::size_t extension = extension_start(address.local_part, settings.extension);
  const std::string answer = fmt::format("{}", fmt::join(found.answer->values, ","));
  const auto unusable = [&](std::string_view what) {
    return fail(
        Reason::lookup_failed,
        fmt::format("alias <{}> {}: \"{}\"", escaped(found.key->external), what, escaped(answer)));
  };
  std::vector<PlainAddress> results =
      parse_result(complete(answer, address, *found.key, extension), settings.rewrite);
  if (results.empty()) return unusable("leads to no address");
  for (PlainAddress& result : results) {
    if (has_control(result.local_part) || has_control(result.domain)) {
      return unusable("leads to an address with a control character");
    }
    if (found.key->leaves_extension() && settings.propagate_unmatched_extensions) {
      result.local_part += address.local_part.substr(extension);
    }
  }
  return results;
}

}  // namespace lmtpd::lookup
