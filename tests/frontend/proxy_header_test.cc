#include "lmtpd/frontend/proxy_header.h"

#include <gtest/gtest.h>

#include "lmtpd/base/internet_address.h"
#include "tests/frontend/proxy_headers.h"

namespace lmtpd::frontend {
namespace {

using Client = ProxyHeader::Client;

std::string_view fault(const std::string& header) {
  const auto missing = proxy_octets_missing(header);
  if (!missing) return missing.error();
  EXPECT_EQ(*missing, 0U);
  const auto parsed = parse_proxy_header(header);
  return parsed ? "none" : parsed.error();
}

// As the protocol's text says, with the sum over the header where it stands as zeros.
std::string with_checksum(const std::string& before, const std::string& sum,
                          const std::string& after = {}) {
  return proxy_header(kProxyCommand, kTcp4Family,
                      tcp4_addresses() + before + tlv(0x03, sum) + after);
}

TEST(ProxyHeader, TellsAnInternetClientsAddress) {
  struct Case {
    std::string header;
    std::string host;
  };
  for (const Case& one :
       {Case{proxy_header(kProxyCommand, kTcp4Family, tcp4_addresses()), "192.0.2.7"},
        Case{proxy_header(kProxyCommand, kTcp6Family, tcp6_addresses()), "2001:db8::7"}}) {
    const auto parsed = parse_proxy_header(one.header);
    ASSERT_TRUE(parsed);
    EXPECT_EQ(parsed->client, Client::internet);
    const auto address = internet_address(parsed->address);
    ASSERT_TRUE(address);
    EXPECT_EQ(address->host, one.host);
    EXPECT_EQ(address->port, 25001);
  }
}

TEST(ProxyHeader, TellsOtherClientsByTheirKind) {
  const auto client = [](const std::string& header) {
    EXPECT_EQ(fault(header), "none");
    return parse_proxy_header(header)->client;
  };
  EXPECT_EQ(client(proxy_header(kProxyCommand, kUnixFamily, unix_addresses())),
            Client::unix_socket);
  EXPECT_EQ(client(proxy_header(kProxyCommand, 0, "")), Client::unknown);
  EXPECT_EQ(client(proxy_header(kProxyCommand, 0, "anything")), Client::unknown);
  EXPECT_EQ(client(proxy_header(kLocalCommand, 0, "")), Client::proxy);
  // The rest of LOCAL is void, whatever it claims to be.
  EXPECT_EQ(client(proxy_header(kLocalCommand, kTcp4Family, tcp4_addresses())), Client::proxy);
  EXPECT_EQ(client(proxy_header(kLocalCommand, 0x7F, "\x03")), Client::proxy);
}

TEST(ProxyHeader, PassesOverTlvs) {
  const std::string tlvs = tlv(0x02, "lmtp.example") + tlv(0x04, "") + tlv(0x20, "ssl");
  EXPECT_EQ(fault(proxy_header(kProxyCommand, kTcp4Family, tcp4_addresses() + tlvs)), "none");
  EXPECT_EQ(fault(proxy_header(kProxyCommand, kUnixFamily, unix_addresses() + tlvs)), "none");
}

TEST(ProxyHeader, ChecksAChecksum) {
  // Computed apart, over the header with zeros in its place.
  const std::string right("\x12\x14\xED\x0E", 4);
  EXPECT_EQ(fault(with_checksum("", right)), "none");
  EXPECT_EQ(fault(with_checksum("", std::string(4, '\0'))), "wrong checksum");
  EXPECT_EQ(fault(with_checksum("", right, tlv(0x04, "x"))), "wrong checksum");
  EXPECT_EQ(fault(with_checksum("", right.substr(0, 3))), "checksum not of four octets");
}

TEST(ProxyHeader, RefusesWhatIsCutShort) {
  const auto tcp4 = tcp4_addresses();
  const auto tcp6 = tcp6_addresses();
  const auto path = unix_addresses();
  EXPECT_EQ(fault(proxy_header(kProxyCommand, kTcp4Family, tcp4.substr(1))), "addresses cut short");
  EXPECT_EQ(fault(proxy_header(kProxyCommand, kTcp6Family, tcp6.substr(1))), "addresses cut short");
  EXPECT_EQ(fault(proxy_header(kProxyCommand, kUnixFamily, path.substr(1))), "addresses cut short");
  const std::string whole = tlv(0x04, "four");
  for (std::size_t octets = 1; octets < whole.size(); ++octets) {
    EXPECT_EQ(fault(proxy_header(kProxyCommand, kTcp4Family, tcp4 + whole.substr(0, octets))),
              "TLV cut short")
        << octets;
  }
}

TEST(ProxyHeader, RefusesWhatIsNoStream) {
  for (const int family : {0x01, 0x10, 0x12, 0x20, 0x22, 0x30, 0x32, 0x41, 0xFF}) {
    EXPECT_EQ(fault(proxy_header(kProxyCommand, static_cast<char>(family), unix_addresses())),
              "not of a stream")
        << family;
  }
}

TEST(ProxyHeader, IsReadToItsEndAndNoFurther) {
  const std::string header =
      proxy_header(kProxyCommand, kTcp4Family, tcp4_addresses() + tlv(0x04, "four"));
  std::string so_far;
  while (true) {
    const auto missing = proxy_octets_missing(so_far);
    ASSERT_TRUE(missing);
    ASSERT_LE(so_far.size() + *missing, header.size());
    if (*missing == 0) break;
    so_far += header[so_far.size()];
  }
  EXPECT_EQ(so_far, header);
}

TEST(ProxyHeader, IsRefusedAtTheFirstOctetThatCannotBe) {
  const std::string header = proxy_header(kProxyCommand, kTcp4Family, tcp4_addresses());
  for (std::size_t at = 0; at < 12; ++at) {
    std::string other = header.substr(0, at);
    EXPECT_TRUE(proxy_octets_missing(other));
    other += static_cast<char>(header[at] ^ 1);
    const auto missing = proxy_octets_missing(other);
    ASSERT_FALSE(missing);
    EXPECT_EQ(missing.error(), "not of version 2");
  }
  EXPECT_EQ(proxy_octets_missing("PROXY TCP4 192.0.2.7 192.0.2.1 25001 24\r\n").error(),
            "not of version 2");
  for (const int command : {0x11, 0x22, 0x2F, 0x31, 0x00}) {
    EXPECT_EQ(
        proxy_octets_missing(proxy_header(static_cast<char>(command), kTcp4Family, "")).error(),
        "unknown version or command");
  }
}

TEST(ProxyHeader, IsNotReadBeyond4096Octets) {
  EXPECT_EQ(proxy_octets_missing(proxy_header(kProxyCommand, kTcp4Family, "", 4080)), 4080U);
  const auto missing = proxy_octets_missing(proxy_header(kProxyCommand, kTcp4Family, "", 4081));
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error(), "too long");
}

}  // namespace
}  // namespace lmtpd::frontend
