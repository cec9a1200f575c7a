#include "lookup/auth/mechanism.h"

#include <gtest/gtest.h>

#include <memory>

#include "lmtpd/base/base64.h"
#include "lmtpd/base/messages.h"
#include "lookup/auth/password_mechanisms.h"
#include "lookup/auth/saslprep.h"
#include "lookup/auth/scram_mechanism.h"

namespace lmtpd::lookup {
namespace {

using std::string_view_literals::operator""sv;

// What a step says, for comparisons: "say TEXT", "check USER PASSWORD", "verifier USER",
// "accepted", "refused WHY".
std::string told(const MechanismStep& step) {
  struct {
    std::string operator()(const Challenge& s) const { return "say " + s.text; }
    std::string operator()(const CheckPassword& s) const {
      return "check " + s.user + " " + s.password;
    }
    std::string operator()(const NeedVerifier& s) const { return "verifier " + s.user; }
    std::string operator()(const Accepted&) const { return "accepted"; }
    std::string operator()(const Refused& s) const { return "refused " + s.why; }
  } teller;
  return std::visit(teller, step);
}

bool refused(const MechanismStep& step) { return std::holds_alternative<Refused>(step); }

TEST(Plain, TakesNameAndPassword) {
  PlainMechanism plain;
  EXPECT_EQ(told(plain.begin()), "say ");
  // RFC 4616 section 4.
  EXPECT_EQ(told(plain.respond("\0tim\0tanstaaftanstaaf"sv)), "check tim tanstaaftanstaaf");
  EXPECT_EQ(told(PlainMechanism().respond("tim\0tim\0secret"sv)), "check tim secret");
}

TEST(Plain, IsOverBehindItsOneMessage) {
  for (const auto first : {"\0tim\0secret"sv, "tim"sv}) {
    PlainMechanism plain;
    static_cast<void>(plain.respond(first));
    EXPECT_EQ(told(plain.respond("\0tim\0secret"sv)), "refused a message out of turn");
  }
}

TEST(Plain, NobodyActsForAnother) {
  EXPECT_EQ(told(PlainMechanism().respond("Ursel\0Kurt\0xipj3plmq"sv)),
            "refused acting for another user");
}

TEST(Plain, RefusesWhatIsMalformed) {
  for (const auto message : {""sv, "tim"sv, "\0tim"sv, "\0\0secret"sv, "\0tim\0"sv,
                             "\0tim\0secret\0more"sv, "\0ti\nm\0secret"sv, "\0t\xFFm\0secret"sv}) {
    EXPECT_TRUE(refused(PlainMechanism().respond(message))) << to_base64(message);
  }
}

TEST(Login, AsksForNameThenPassword) {
  LoginMechanism login;
  EXPECT_EQ(told(login.begin()), "say Username:");
  EXPECT_EQ(told(login.respond("tim")), "say Password:");
  EXPECT_EQ(told(login.respond("secret")), "check tim secret");
}

TEST(Login, IsOverBehindThePassword) {
  for (const auto password : {"secret"sv, ""sv}) {
    LoginMechanism login;
    static_cast<void>(login.respond("tim"));
    static_cast<void>(login.respond(password));
    EXPECT_EQ(told(login.respond("secret")), "refused a message out of turn");
  }
}

TEST(Login, TakesTheNameAsInitialResponse) {
  LoginMechanism login;
  EXPECT_EQ(told(login.respond("tim")), "say Password:");
}

TEST(Login, RefusesEmptyWordsAndNuls) {
  for (const auto& [name, password] :
       {std::pair{""sv, "secret"sv}, {"tim"sv, ""sv}, {"tim"sv, "sec\0ret"sv}, {"t\0m"sv, "s"sv}}) {
    LoginMechanism login;
    static_cast<void>(login.respond(name));
    EXPECT_TRUE(refused(login.respond(password))) << name;
  }
}

// The exchange of RFC 7677 section 3.
class Scram : public testing::Test {
 protected:
  static constexpr auto kFirst = "n,,n=user,r=rOprNGfwEbeRWgbNEkqO";
  static constexpr auto kServerFirst =
      "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
  static constexpr auto kBound = "c=biws,";
  static constexpr auto kNonce = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
  static constexpr auto kProof = ",p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";

  // Up to the client's final message.
  MechanismStep greet(std::string_view first = kFirst) {
    MechanismStep step = scram_.respond(first);
    if (refused(step)) return step;
    return scram_.use_verifier(verifier_);
  }

  ScramVerifier verifier_ =
      ScramVerifier::make("pencil", *from_base64("W22ZaJ0SNY7soEsUEjb6gQ=="), 4096);
  ScramMechanism scram_{"%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"};
};

// Whatever the client and the database say: a longer challenge is none (RFC 4954 4).
TEST_F(Scram, HasNoChallengeThatIsTooLongForOne) {
  const std::string salt(ScramVerifier::kLongestSalt, 's');
  for (const std::size_t length :
       {ScramMechanism::kLongestNonce, ScramMechanism::kLongestNonce + 1}) {
    ScramMechanism scram("server");
    const std::string nonce(length, 'a');
    if (refused(scram.respond("n,,n=user,r=" + nonce))) {
      EXPECT_GT(length, ScramMechanism::kLongestNonce);
      continue;
    }
    EXPECT_EQ(length, ScramMechanism::kLongestNonce);
    const MechanismStep step =
        scram.use_verifier({.iterations = ScramVerifier::kMostIterations, .salt = salt});
    ASSERT_TRUE(std::holds_alternative<Challenge>(step));
    EXPECT_LE(std::get<Challenge>(step).text.size(), kLongestSaslMessage);
  }
}

TEST_F(Scram, IsAsRfc7677ShowsIt) {
  EXPECT_EQ(told(scram_.begin()), "say ");
  EXPECT_EQ(told(scram_.respond(kFirst)), "verifier user");
  EXPECT_EQ(told(scram_.use_verifier(verifier_)), std::string("say ") + kServerFirst);
  EXPECT_EQ(told(scram_.respond(std::string(kBound) + kNonce + kProof)),
            "say v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
  EXPECT_EQ(told(scram_.respond("")), "accepted");
  EXPECT_TRUE(refused(scram_.respond("")));
}

TEST_F(Scram, ADifferentPasswordIsRefused) {
  verifier_ = ScramVerifier::make("pencils", verifier_.salt, 4096);
  static_cast<void>(greet());
  EXPECT_EQ(told(scram_.respond(std::string(kBound) + kNonce + kProof)), "refused wrong password");
  EXPECT_TRUE(refused(scram_.respond("")));
}

TEST_F(Scram, WhateverTheClientAltersIsRefused) {
  const std::string nonce = kNonce;
  for (const std::string& message :
       {std::string(), std::string("c=biws"), kBound + nonce, kBound + nonce + ",p=",
        kBound + nonce + ",p=AAAA", "c=eSws," + nonce + kProof, kBound + nonce + "x" + kProof,
        kBound + nonce + ",x=y" + kProof, nonce + "," + kBound + kProof}) {
    ScramMechanism scram("%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0");
    static_cast<void>(scram.respond(kFirst));
    static_cast<void>(scram.use_verifier(verifier_));
    EXPECT_TRUE(refused(scram.respond(message))) << message;
  }
}

TEST_F(Scram, ChannelBindingIsNotOfferedAndMayBeKnown) {
  EXPECT_EQ(told(ScramMechanism("x").respond("p=tls-unique,,n=user,r=abc")),
            "refused channel binding, which is not offered");
  // `y` is in the message that the proof covers: c=eSws is "y,,".
  static_cast<void>(greet("y,,n=user,r=rOprNGfwEbeRWgbNEkqO"));
  EXPECT_EQ(told(scram_.respond(std::string(kBound) + kNonce + kProof)),
            "refused another GS2 header");
}

TEST(ScramFirst, NamesAreDecodedAndPrepared) {
  const auto first = [](const std::string& name, const std::string& acts_for = "") {
    return told(ScramMechanism("x").respond("n," + acts_for + ",n=" + name + ",r=abc"));
  };
  EXPECT_EQ(first("a=2Cb=3Dc"), "verifier a,b=c");
  EXPECT_EQ(first("user", "a=user"), "verifier user");
  EXPECT_EQ(first("us\u00ADer"), "verifier user");
  EXPECT_EQ(first("user", "a=other"), "refused acting for another user");
  EXPECT_EQ(first("user", "user"), "refused acting for another user");
  for (const char* name : {"", "a=2cb", "a=b", "a=", "a\x01", "\xFF"}) {
    EXPECT_EQ(first(name).substr(0, 7), "refused") << name;
  }
}

TEST(ScramFirst, RefusesWhatIsMalformed) {
  for (const char* message : {"", "n", "n,", "n,,", "n,,n=user", "n,,n=user,r=", "n,,r=abc,n=user",
                              "x,,n=user,r=abc", "n,,m=x,n=user,r=abc", "n,,n=user,r=a b"}) {
    EXPECT_TRUE(refused(ScramMechanism("x").respond(message))) << message;
  }
}

TEST(ScramFirst, AMessageOutOfTurnIsRefused) {
  ScramMechanism scram("x");
  static_cast<void>(scram.respond("n,,n=user,r=abc"));
  EXPECT_TRUE(refused(scram.respond("c=biws")));
  EXPECT_TRUE(refused(ScramMechanism("x").use_verifier({})));
}

TEST(Mechanisms, AreKnownByName) {
  for (const auto name : {kPlain, kLogin, kScramSha256}) EXPECT_NE(make_mechanism(name), nullptr);
  EXPECT_EQ(make_mechanism("CRAM-MD5"), nullptr);
  EXPECT_EQ(make_mechanism("plain"), nullptr);
}

TEST(Mechanisms, EachScramExchangeHasANonceOfItsOwn) {
  const auto nonce = [] {
    const auto scram = make_mechanism(kScramSha256);
    static_cast<void>(scram->respond("n,,n=user,r=abc"));
    return told(scram->use_verifier(ScramVerifier{.iterations = 1, .salt = "x"}));
  };
  EXPECT_NE(nonce(), nonce());
}

// RFC 4013 section 3.
TEST(Saslprep, IsAsRfc4013ShowsIt) {
  EXPECT_EQ(saslprep("I\u00ADX"), "IX");
  EXPECT_EQ(saslprep("user"), "user");
  EXPECT_EQ(saslprep("USER"), "USER");
  EXPECT_EQ(saslprep("\u00AA"), "a");
  EXPECT_EQ(saslprep("\u2168"), "IX");
  EXPECT_EQ(saslprep("\u0007"), std::nullopt);
  EXPECT_EQ(saslprep("\u0627\u0031"), std::nullopt);
  EXPECT_EQ(saslprep("\xFF"), std::nullopt);
  EXPECT_EQ(saslprep(std::string(1025, 'a')), std::nullopt);
  EXPECT_EQ(saslprep("\uFDFA")->size(), 33U);  // none becomes longer
  std::string grows;
  for (int i = 0; i < 32; ++i) grows += "\uFDFA";
  EXPECT_EQ(saslprep(grows), std::nullopt);
}

}  // namespace
}  // namespace lmtpd::lookup
