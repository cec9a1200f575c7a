#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "lmtpd/frontend/tls_context.h"
#include "lmtpd/frontend/tls_pem.h"
#include "lmtpd/frontend/tls_stream.h"
#include "lmtpd/frontend/tls_validity.h"
#include "tests/frontend/tls_fixture.h"

namespace lmtpd::frontend {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

const KeyPair& pair() {
  static const KeyPair made = KeyPair::make("mx.test");
  return made;
}

const KeyPair& other_pair() {
  static const KeyPair made = KeyPair::make("other.test");
  return made;
}

template <class T>
std::string error(const Result<T>& result) {
  return result ? "no error" : result.error().text;
}

TEST(TlsPem, TakesKeysAndCertificatesInEitherOrder) {
  const std::string text = "words\n" + pair().certificate + "more\n" + pair().key;
  EXPECT_EQ(certificates_of(text)->size(), 1U);
  EXPECT_NE(*key_of(text), nullptr);
  EXPECT_EQ(certificates_of(pair().certificate + other_pair().certificate)->size(), 2U);
}

TEST(TlsPem, RefusesWhatIsMissingBrokenOrLocked) {
  EXPECT_EQ(error(certificates_of(pair().key)), "it holds no certificate");
  EXPECT_EQ(error(certificates_of("")), "it holds no certificate");
  EXPECT_EQ(error(key_of(pair().certificate)), "it holds no private key");
  EXPECT_THAT(error(key_of(pair().key + other_pair().key)), HasSubstr("several private keys"));
  std::string cut = pair().certificate;
  cut.resize(cut.size() / 2);
  EXPECT_THAT(error(certificates_of(cut)), HasSubstr("it is broken"));
  std::string junk = pair().certificate;
  junk.replace(junk.find('\n') + 1, 8, "AAAAAAAA");
  EXPECT_THAT(error(certificates_of(junk)), HasSubstr("a certificate is broken"));
  EXPECT_THAT(error(key_of("-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n"
                           "-----END ENCRYPTED PRIVATE KEY-----\n")),
              HasSubstr("has a passphrase"));
}

TEST(TlsPem, AChainFileHasEachKeyBeforeItsCertificates) {
  const auto pairs = keys_and_chains_of(pair().key + pair().certificate + other_pair().certificate +
                                        other_pair().key + other_pair().certificate);
  ASSERT_TRUE(pairs) << error(pairs);
  ASSERT_EQ(pairs->size(), 2U);
  EXPECT_EQ((*pairs)[0].chain.size(), 2U);
  EXPECT_EQ((*pairs)[1].chain.size(), 1U);
  EXPECT_THAT(error(keys_and_chains_of(pair().certificate + pair().key)), HasSubstr("come before"));
  EXPECT_THAT(error(keys_and_chains_of(pair().key)), HasSubstr("no certificate follows"));
  EXPECT_THAT(error(keys_and_chains_of(pair().key + pair().key + pair().certificate)),
              HasSubstr("no certificate follows"));
  EXPECT_THAT(error(keys_and_chains_of("")), HasSubstr("no private key"));
}

class TlsStreamTest : public testing::Test {
 protected:
  TlsStreamTest() {
    Settings settings;
    settings.tls_cert_file = "/cert";
    settings.tls_key_file = "/key";
    auto made = context_of(settings, {{"/cert", pair().certificate}, {"/key", pair().key}});
    EXPECT_TRUE(made) << error(made);
    context_.emplace(std::move(*made));
    server_.emplace(*context_);
  }

  // What the client says, `piece` octets at a time; what the server makes of it is in plain_, and
  // goes back to the client.
  Result<void> pass(std::string_view octets, std::size_t piece = std::string::npos) {
    Result<void> result;
    std::string out;
    while (result && !octets.empty()) {
      result = server_->receive(octets.substr(0, piece), plain_, out);
      octets.remove_prefix(std::min(piece, octets.size()));
    }
    client_.hear(out);
    return result;
  }
  void shake_hands(std::size_t piece = std::string::npos) {
    for (int i = 0; i < 4; ++i) ASSERT_TRUE(pass(client_.say(), piece));
    ASSERT_EQ(server_->state(), TlsStream::State::open);
  }

  std::optional<TlsContext> context_;
  std::optional<TlsStream> server_;
  TlsClient client_;
  std::string plain_;
};

TEST_F(TlsStreamTest, CarriesOctetsBothWaysHoweverTheyWereCut) {
  shake_hands(1);
  const std::string large(100'000, 'x');
  ASSERT_TRUE(pass(client_.say(large), 7));
  EXPECT_EQ(plain_, large);
  std::string out;
  ASSERT_TRUE(server_->send(large, out));
  client_.hear(out);
  EXPECT_EQ(client_.read(), large);
  EXPECT_EQ(server_->facts().protocol, "TLSv1.3");
  EXPECT_EQ(server_->facts().client, session::TlsFacts::Client::not_asked);
}

TEST_F(TlsStreamTest, HandsOnWhatComesWithTheEndOfTheHandshake) {
  ASSERT_TRUE(pass(client_.say()));
  ASSERT_TRUE(pass(client_.say("LHLO c\r\n")));
  EXPECT_EQ(plain_, "LHLO c\r\n");
}

TEST_F(TlsStreamTest, EndsAtGarbageWithoutAWordInPlainText) {
  std::string out;
  EXPECT_THAT(error(server_->receive("MAIL FROM:<a@b>\r\n", plain_, out)),
              HasSubstr("wrong version number"));
  EXPECT_EQ(out, "");
  EXPECT_EQ(plain_, "");
}

TEST_F(TlsStreamTest, RefusesARecordThatWasAltered) {
  shake_hands();
  std::string record = client_.say("QUIT\r\n");
  record.back() = static_cast<char>(record.back() ^ 1);
  EXPECT_FALSE(pass(record));
  EXPECT_EQ(plain_, "");
}

TEST_F(TlsStreamTest, DoesNotBeginAnew) {  // K8
  client_.speak_at_most(TLS1_2_VERSION);
  shake_hands();
  EXPECT_EQ(server_->facts().protocol, "TLSv1.2");
  std::string out;
  ASSERT_TRUE(server_->receive(client_.renegotiate(), plain_, out));
  constexpr char kAlert = 21;  // and no handshake's 22 (RFC 5246 6.2.1)
  ASSERT_FALSE(out.empty());
  EXPECT_EQ(out[0], kAlert);
  EXPECT_EQ(plain_, "");
}

TEST_F(TlsStreamTest, BothSidesSayWhenNothingFollows) {  // K8
  shake_hands();
  std::string out;
  server_->close(out);
  client_.hear(out);
  EXPECT_EQ(client_.read(), "");
  EXPECT_TRUE(client_.at_end());
  ASSERT_TRUE(pass(client_.close()));
  EXPECT_EQ(server_->state(), TlsStream::State::closed);
}

TEST(TlsContextTest, RefusesAKeyOfAnotherCertificate) {
  Settings settings;
  settings.tls_cert_file = "/cert";
  settings.tls_key_file = "/key";
  EXPECT_THAT(
      error(context_of(settings, {{"/cert", pair().certificate}, {"/key", other_pair().key}})),
      HasSubstr("tls_cert_file: the private key is not the certificate's"));
  EXPECT_THAT(error(context_of(settings, {{"/cert", pair().certificate}})),
              HasSubstr("tls_key_file: /key: no such file"));
  settings.tls_cipherlist = "NONESUCH";
  EXPECT_THAT(error(context_of(settings, {{"/cert", pair().certificate}, {"/key", pair().key}})),
              HasSubstr("tls_cipherlist: "));
}

// Where `authority` is what the file of authorities names.
session::TlsFacts::Client taken_for(const KeyPair& shown, const KeyPair& authority) {
  Settings settings;
  settings.tls_cert_file = settings.tls_key_file = "/pem";
  settings.tls_client_ca = "/ca";
  const auto context = context_of(
      settings, {{"/pem", pair().key + pair().certificate}, {"/ca", authority.certificate}});
  EXPECT_TRUE(context) << error(context);
  TlsStream server(*context);
  TlsClient client;
  client.present(shown);
  for (int i = 0; i < 4; ++i) {
    std::string plain;
    std::string out;
    EXPECT_TRUE(server.receive(client.say(), plain, out));
    client.hear(out);
  }
  return server.facts().client;
}

TEST(TlsContextTest, TrustsWhomAnAuthoritySignedThatAnotherSigned) {
  using Client = session::TlsFacts::Client;
  const KeyPair root = KeyPair::make("root");
  const KeyPair issuing = root.issue_authority("issuing");
  const KeyPair client = issuing.issue("client.test");
  EXPECT_EQ(taken_for(client, issuing), Client::verified);
  EXPECT_EQ(taken_for(root.issue("client.test"), issuing), Client::untrusted);
  EXPECT_EQ(taken_for(root.issue_authority("issuing").issue("client.test"), issuing),
            Client::untrusted);
}

// From midnight at the first of December 2026, UTC, for so many days.
constexpr std::time_t kBegin = 1'796'083'200;
CertificatePtr certificate_for(int days, const char* common_name = "mx.test") {
  CertificatePtr certificate(X509_new());
  ASN1_TIME_set(X509_getm_notBefore(certificate.get()), kBegin);
  ASN1_TIME_adj(X509_getm_notAfter(certificate.get()), kBegin, days, 0);
  if (common_name == nullptr) return certificate;
  X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate.get()), "CN", MBSTRING_ASC,
                             reinterpret_cast<const unsigned char*>(common_name), -1, -1, 0);
  return certificate;
}

std::string warning(const CertificatePtr& certificate, double days) {
  return validity_warning(certificate.get(), kBegin + static_cast<std::time_t>(days * 86'400))
      .value_or("");
}

TEST(TlsValidity, IsWarnedOfAroundItsTime) {
  const CertificatePtr quarter = certificate_for(90);
  EXPECT_EQ(warning(quarter, -1),
            "the certificate of CN=mx.test is not valid before 2026-12-01 00:00 UTC");
  EXPECT_EQ(warning(quarter, 0), "");
  EXPECT_EQ(warning(quarter, 75.9), "");
  EXPECT_EQ(warning(quarter, 76.1),
            "the certificate of CN=mx.test expires on 2027-03-01 00:00 UTC");
  EXPECT_EQ(warning(quarter, 89.9),
            "the certificate of CN=mx.test expires on 2027-03-01 00:00 UTC");
  EXPECT_EQ(warning(quarter, 90.1),
            "the certificate of CN=mx.test has expired on 2027-03-01 00:00 UTC");
}

TEST(TlsValidity, IsNotWarnedOfAllTheTimeWhereItIsShort) {
  const CertificatePtr week = certificate_for(8);
  EXPECT_EQ(warning(week, 5.9), "");
  EXPECT_EQ(warning(week, 6.1), "the certificate of CN=mx.test expires on 2026-12-09 00:00 UTC");
}

TEST(TlsValidity, NamesNobodyWhereTheSubjectIsEmpty) {
  const CertificatePtr nameless = certificate_for(1, nullptr);
  EXPECT_EQ(warning(nameless, 2), "the certificate has expired on 2026-12-02 00:00 UTC");
}

TEST(TlsContextTest, WarnsOfTheDatesOfAllThatItShowsAndTrusts) {
  constexpr long kDay = 86'400;
  const KeyPair expired = KeyPair::valid("expired.test", -2 * kDay, -kDay);
  const KeyPair ending = KeyPair::valid("ending.test", -100 * kDay, 2 * kDay);
  const KeyPair good = KeyPair::valid("good.test", -kDay, 100 * kDay);
  const std::map<std::string, std::string> pem{
      {"/cert", good.certificate + ending.certificate},
      {"/key", good.key},
      {"/chains", good.key + good.certificate + expired.key + expired.certificate},
      {"/ca", good.certificate + expired.certificate}};
  Settings settings;
  settings.tls_cert_file = "/cert";
  settings.tls_key_file = "/key";
  EXPECT_THAT(context_of(settings, pem)->warnings(),
              ElementsAre(StartsWith(
                  "tls_cert_file: /cert: the certificate of CN=ending.test expires on 2")));
  settings.tls_client_ca = "/ca";
  settings.tls_chain_files = {"/chains"};
  EXPECT_THAT(
      context_of(settings, pem)->warnings(),
      ElementsAre(
          StartsWith(
              "tls_chain_files: /chains: the certificate of CN=expired.test has expired on 2"),
          StartsWith("tls_client_ca: /ca: the certificate of CN=expired.test has expired on 2")));
}

}  // namespace
}  // namespace lmtpd::frontend
