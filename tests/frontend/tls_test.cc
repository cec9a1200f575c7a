#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "lmtpd/frontend/tls_context.h"
#include "lmtpd/frontend/tls_pem.h"
#include "lmtpd/frontend/tls_stream.h"
#include "tests/frontend/tls_fixture.h"

namespace lmtpd::frontend {
namespace {

using testing::HasSubstr;

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

}  // namespace
}  // namespace lmtpd::frontend
