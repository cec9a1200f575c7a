// A PROXY header as it comes, octet by octet, and what follows it. It must be bounded, be taken to
// its end and no further, and say the same however it is cut.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "lmtpd/base/internet_address.h"
#include "lmtpd/frontend/proxy_header.h"

namespace {

void must(bool holds) {
  if (!holds) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace lmtpd::frontend;
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  std::size_t wanted = 0;  // octets of the header, as far as known
  for (std::size_t had = 0; had <= input.size(); ++had) {
    const auto missing = proxy_octets_missing(input.substr(0, had));
    if (!missing) {
      must(had > 0 && !missing.error().empty());
      return 0;
    }
    must(had + *missing >= wanted && had + *missing <= kLongestProxyHeader);
    wanted = had + *missing;
    if (*missing > 0) continue;
    const auto header = parse_proxy_header(input.substr(0, had));
    if (!header) {
      must(!header.error().empty());
      return 0;
    }
    must(lmtpd::internet_address(header->address).has_value() ==
         (header->client == ProxyHeader::Client::internet));
    return 0;
  }
  return 0;
}
