#include "lmtpd/frontend/tls_validity.h"

#include <fmt/format.h>
#include <openssl/bio.h>

#include <algorithm>
#include <string_view>

#include "lmtpd/base/log.h"
#include "lmtpd/frontend/tls_pem.h"

namespace lmtpd::frontend {
namespace {

constexpr std::time_t kDay = 24 * 60 * 60;
constexpr std::time_t kSoon = 14 * kDay;

std::string subject_of(const X509* certificate) {
  const BioPtr bio(BIO_new(BIO_s_mem()));
  X509_NAME_print_ex(bio.get(), X509_get_subject_name(certificate), 0, XN_FLAG_RFC2253);
  char* octets = nullptr;
  const long length = BIO_get_mem_data(bio.get(), &octets);
  if (length <= 0) return "the certificate";
  return "the certificate of " +
         escaped(std::string_view(octets, static_cast<std::size_t>(length)));
}

std::string date_of(const ASN1_TIME* time) {
  std::tm date{};
  ASN1_TIME_to_tm(time, &date);
  return fmt::format("{:04}-{:02}-{:02} {:02}:{:02} UTC", date.tm_year + 1900, date.tm_mon + 1,
                     date.tm_mday, date.tm_hour, date.tm_min);
}

// X509_cmp_time(3) has 0 for a date that cannot be read, which nobody warns of here: no client
// takes it.
bool is_before(const ASN1_TIME* time, std::time_t moment) {
  return X509_cmp_time(time, &moment) < 0;
}
bool is_after(const ASN1_TIME* time, std::time_t moment) {
  return X509_cmp_time(time, &moment) > 0;
}

std::time_t life(const ASN1_TIME* begin, const ASN1_TIME* end) {
  int days = 0;
  int seconds = 0;
  ASN1_TIME_diff(&days, &seconds, begin, end);
  return days * kDay + seconds;
}

}  // namespace

std::optional<std::string> validity_warning(const X509* certificate, std::time_t now) {
  const ASN1_TIME* begin = X509_get0_notBefore(certificate);
  const ASN1_TIME* end = X509_get0_notAfter(certificate);
  const auto say = [&](std::string_view what, const ASN1_TIME* when) {
    return fmt::format("{} {} {}", subject_of(certificate), what, date_of(when));
  };
  if (is_before(end, now)) return say("has expired on", end);
  if (is_after(begin, now)) return say("is not valid before", begin);
  if (is_before(end, now + std::min(kSoon, life(begin, end) / 4))) return say("expires on", end);
  return std::nullopt;
}

}  // namespace lmtpd::frontend
