#include "lookup/auth/saslprep.h"

#include <unicode/unistr.h>
#include <unicode/usprep.h>

#include <algorithm>
#include <array>
#include <memory>
#include <new>

#include "lmtpd/base/utf8.h"

namespace lmtpd::lookup {
namespace {

constexpr std::size_t kLongest = 1024;

struct ProfileDeleter {
  void operator()(UStringPrepProfile* profile) const { usprep_close(profile); }
};

}  // namespace

std::optional<std::string> saslprep(std::string_view text) {
  if (text.size() > kLongest) return std::nullopt;
  if (std::ranges::all_of(text, [](char c) { return c >= ' ' && c <= '~'; })) {
    return std::string(text);
  }
  if (!valid_utf8(text)) return std::nullopt;
  UErrorCode status = U_ZERO_ERROR;
  const std::unique_ptr<UStringPrepProfile, ProfileDeleter> profile(
      usprep_openByType(USPREP_RFC4013_SASLPREP, &status));
  if (U_FAILURE(status)) throw std::bad_alloc();  // its data is a part of ICU's
  const auto source = icu::UnicodeString::fromUTF8(
      icu::StringPiece(text.data(), static_cast<std::int32_t>(text.size())));
  // NFKC makes of one UTF-16 unit at most 18 (U+FDFA).
  std::array<char16_t, kLongest * 18> prepared{};
  const std::int32_t length =
      usprep_prepare(profile.get(), source.getBuffer(), source.length(), prepared.data(),
                     static_cast<std::int32_t>(prepared.size()), USPREP_DEFAULT, nullptr, &status);
  if (U_FAILURE(status)) return std::nullopt;
  std::string out;
  icu::UnicodeString(false, prepared.data(), length).toUTF8String(out);
  if (out.size() > kLongest) return std::nullopt;
  return out;
}

}  // namespace lmtpd::lookup
