#include "lookup/auth/machine_key.h"

#include <algorithm>
#include <fstream>

#include "lookup/auth/scram_verifier.h"

namespace lmtpd::lookup {
namespace {

constexpr std::size_t kIdSize = 32;  // hexadecimal digits
constexpr std::string_view kPurpose = "lmtpd: salts of users who are not there";

bool is_digit(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); }

}  // namespace

std::optional<Key> machine_key(const std::string& path) {
  std::ifstream file(path);
  std::string id;
  std::getline(file, id);
  if (id.size() != kIdSize || !std::ranges::all_of(id, is_digit)) return std::nullopt;
  return hmac_sha256(id, kPurpose);
}

}  // namespace lmtpd::lookup
