#include "lmtpd/base/base64.h"

#include <sodium.h>

namespace lmtpd {

std::string to_base64(std::string_view octets) {
  std::string text(sodium_base64_ENCODED_LEN(octets.size(), sodium_base64_VARIANT_ORIGINAL), '\0');
  sodium_bin2base64(text.data(), text.size(), reinterpret_cast<const unsigned char*>(octets.data()),
                    octets.size(), sodium_base64_VARIANT_ORIGINAL);
  text.pop_back();  // the NUL of a C string
  return text;
}

std::optional<std::string> from_base64(std::string_view text) {
  std::string octets(text.size() / 4 * 3, '\0');
  std::size_t size = 0;
  if (sodium_base642bin(reinterpret_cast<unsigned char*>(octets.data()), octets.size(), text.data(),
                        text.size(), nullptr, &size, nullptr,
                        sodium_base64_VARIANT_ORIGINAL) != 0) {
    return std::nullopt;
  }
  octets.resize(size);
  return octets;
}

}  // namespace lmtpd
