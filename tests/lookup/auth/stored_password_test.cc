// Hashes of "pencil", made by crypt_gensalt(3) and crypt(3) of libxcrypt 4.4.33 and by doveadm(1)
// of Dovecot 2.3.19.
#include "lookup/auth/stored_password.h"

#include <gtest/gtest.h>

#include <array>
#include <string>

#include "lmtpd/base/base64.h"

namespace lmtpd::lookup {
namespace {

// Every method of crypt(5).
constexpr std::array kHashes{
    "$y$j75$zx6VwGNZcryvhXBNvsitT0$ixn3jq2SLBjjTNq9cmIHYVVF6gWhEZMq1R1PTpIXAH9",
    "$gy$j75$Lb4GAe6fNOyWt1bGtlgFv0$N5erzPGi4xOmlcYiHbS0kYFcFrqDUBahC7CjN0humB7",
    "$7$BU..../....WNo1wtxaxs3o78IiBpAQC.$V3cl2jlu4ZPMr5nqCbXdd219dG9KCZLZNIUV.rKF7KB",
    "$2b$04$N7cYAowDDZBYzoRvG8/9p.XR4tEk5eXUoH5Y36mJa4RBZtthh3mEa",
    "$2a$04$twkI3xAm3KFxHP8HRcgSguIX6qp/bS0YW0lK7fnpGlmYzcQtd5b/e",
    "$2x$04$N7cYAowDDZBYzoRvG8/9puQd9JkWPG5hmaMz.1FNEoDFqaqljqrYS",
    "$2y$04$/D..PtgxdC7lR8P5LrNYaOuXWPsyZE9rrMiX99aA0pg/IEJLZghwm",
    "$6$rounds=1000$.KjZYy2XW5gtkxHD$mU24RJBAe3xn.sjdDw.ng5pgTt7S0CkUlLS3ilK/"
    "5jFndGMGfSn.hRs4KkjXVRaMOlDctG3Us6yNqYmStuSrP.",
    "$5$rounds=1000$mhGZROOz9pf6UtO0$tQ.gEKYvEFPwtuoKyl1LPCPot56Y4ghJ17trOaD4441",
    "$sha1$955$DX3iLWdMm4c5iY4nGpIJ$GRci0LkPZMfV4LMDRsvhBUMluu4S",
    "$md5,rounds=77636$rJ4Z4yTU$$J3gVyqJiktX8J6IVczVdz.",
    "$1$TMbyNXba$aovNosx3T45nfzC8IMzNj/",
    "$3$$0f0800266a19a0ddc7ff30bba6c76e9b",
    "_J9..NnaaFON0f2Fh6oY",
    "EDUdKr924WQFs",
};

// "iterations,salt,stored,server" of RFC 7677's example.
constexpr auto kVerifier =
    "4096,W22ZaJ0SNY7soEsUEjb6gQ==,WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=,"
    "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=";

bool matches(const std::string& stored, std::string_view password) {
  const Result<StoredPassword> parsed = StoredPassword::parse(stored);
  EXPECT_TRUE(parsed) << stored;
  return parsed && parsed->matches(password);
}

TEST(StoredPassword, KnowsEveryMethodOfCrypt5) {
  for (const std::string hash : kHashes) {
    EXPECT_TRUE(matches(hash, "pencil")) << hash;
    EXPECT_FALSE(matches(hash, "Pencil")) << hash;
    EXPECT_FALSE(matches(hash, "")) << hash;
    EXPECT_TRUE(matches("{CRYPT}" + hash, "pencil")) << hash;
    EXPECT_FALSE(StoredPassword::parse(hash.substr(0, hash.size() - 1))) << hash << ", cut off";
  }
}

TEST(StoredPassword, IsOfAKindThatSaysWhatItCosts) {
  std::string kinds;
  for (const std::string stored : kHashes) kinds += StoredPassword::parse(stored)->kind() + " ";
  EXPECT_EQ(
      kinds,
      "$y$j75 $gy$j75 $7$BU..../.... $2b$04 $2a$04 $2x$04 $2y$04 $6$rounds=1000 $5$rounds=1000 "
      "$sha1$ $md5 $1$ $3$ _J9.. DES ");
  const auto kind = [](const std::string& stored) { return StoredPassword::parse(stored)->kind(); };
  EXPECT_EQ(kind("$5$mhGZROOz9pf6UtO0$tQ.gEKYvEFPwtuoKyl1LPCPot56Y4ghJ17trOaD4441"), "$5$");
  EXPECT_EQ(kind("abVuHnt/RcbtkKpc9rtFAXXQgutKYWFz6Yo"), "bigcrypt");
  EXPECT_EQ(kind(std::string("{SCRAM-SHA-256}") + kVerifier), "{SCRAM-SHA-256}4096,16");
}

TEST(StoredPassword, KnowsBigcrypt) {
  constexpr auto kHash = "abVuHnt/RcbtkKpc9rtFAXXQgutKYWFz6Yo";
  EXPECT_TRUE(matches(kHash, "pencil pencil pencil"));
  EXPECT_FALSE(matches(kHash, "pencil pencil pencils"));
}

TEST(StoredPassword, KnowsDovecotsPrefixes) {
  for (const std::string stored : {
           "{SHA512-CRYPT}$6$rounds=1000$.KjZYy2XW5gtkxHD$mU24RJBAe3xn.sjdDw."
           "ng5pgTt7S0CkUlLS3ilK/5jFndGMGfSn.hRs4KkjXVRaMOlDctG3Us6yNqYmStuSrP.",
           "{sha256-crypt}$5$rounds=1000$mhGZROOz9pf6UtO0$tQ."
           "gEKYvEFPwtuoKyl1LPCPot56Y4ghJ17trOaD4441",
           "{MD5-CRYPT}$1$DF9kU7Fr$6GnsgVkJfPh5gs70E7AYq1",
           "{MD5}$1$RLaMAyhi$bOVQFmQ3nMggTkFy5Y9Z9.",  // what `doveadm pw -s MD5` makes
           "{Des-Crypt}secleh8igablY",
           "{BLF-CRYPT}$2y$05$guzjyzB70g3/3qp.GY8oyumC4Z1LeE0dv2QQnW.VlpE0T9P/mlHKG",
           "{SCRAM-SHA-256}4096,4IKZ2qQuM16SLQ/uHeJmWQ==,UYIQm2ovBOmSrrKfP96hBHU3VGCUCDS/"
           "rHY72qVVLRc=,IAX0uozM5hrKufjJiHofDKNsRSF9r/eDrO+1lTpeZZ4=",
       }) {
    EXPECT_TRUE(matches(stored, "pencil")) << stored;
    EXPECT_FALSE(matches(stored, "pencil2")) << stored;
  }
}

TEST(StoredPassword, RefusesClearTextAndWhatItDoesNotKnow) {
  for (const std::string stored :
       {"",
        "pencil",
        "secret secret",
        "{PLAIN}pencil",
        "{CLEARTEXT}pencil",
        "{plain}",
        "{}x",
        "{SHA512-CRYPT}$5$rounds=1000$mhGZROOz9pf6UtO0$tQ.gEKYvEFPwtuoKyl1LPCPot56Y4g"
        "hJ17trOaD4441",
        "{DES-CRYPT}$1$DF9kU7Fr$6GnsgVkJfPh5gs70E7AYq1",
        "{CRYPT}pencil",
        "{CRYPT}",
        "{MD5}a8f6830bce790a8a67fc2e84e12093ba",  // Dovecot takes these two, and {PLAIN-MD5}
        "{MD5}qPaDC855Copn/C6E4SCTug==",
        "{PLAIN-MD5}a8f6830bce790a8a67fc2e84e12093ba",
        "$x$abc",
        "$6$salt",
        "$y$ixn3jq2SLBjjTNq9cmIHYVVF6gWhEZMq1R1PTpIXAH9",
        "$2b$04$N7cYAowDDZBYzoRvG8/9p.XR4tEk5eXUoH5Y36mJa4RBZtthh3mE",  // cut off
        "*0",
        "*",
        "!",
        "{ARGON2ID}$argon2id$v=19$m=65536",
        "{SHA512-CRYPT.b64}JDYk",
        "{SCRAM-SHA-256}",
        "{SCRAM-SHA-256}4096,abc",
        "{SCRAM-SHA-1}4096,a,b,c"}) {
    const Result<StoredPassword> parsed = StoredPassword::parse(stored);
    ASSERT_FALSE(parsed) << stored;
    EXPECT_EQ(parsed.error().text.find("pencil"), std::string::npos) << parsed.error().text;
  }
}

// A word of the right length looks like a hash of DES: it matches nothing, itself least of all.
TEST(StoredPassword, DoesNotCompareClearText) {
  EXPECT_FALSE(matches("secretsecret1", "secretsecret1"));
}

TEST(StoredPassword, APasswordDoesNotEndAtANul) {
  EXPECT_FALSE(matches(kHashes[7], std::string_view("pencil\0more", 11)));
}

TEST(ScramVerifier, HasASaltThatFitsAChallenge) {
  const std::string key = to_base64(std::string(32, 'k'));
  const auto parses = [&](std::size_t salt) {
    return ScramVerifier::parse("4096," + to_base64(std::string(salt, 's')) + "," + key + "," + key)
        .has_value();
  };
  EXPECT_TRUE(parses(ScramVerifier::kLongestSalt));
  EXPECT_FALSE(parses(ScramVerifier::kLongestSalt + 1));
}

TEST(ScramVerifier, IsThatOfRfc7677) {
  const auto verifier = ScramVerifier::parse(kVerifier);
  ASSERT_TRUE(verifier);
  EXPECT_EQ(verifier->iterations, 4096U);
  const auto made = ScramVerifier::make("pencil", verifier->salt, 4096);
  EXPECT_EQ(made.stored_key, verifier->stored_key);
  EXPECT_EQ(made.server_key, verifier->server_key);
  EXPECT_EQ(StoredPassword::parse(kHashes[10])->scram(), nullptr);
}

TEST(ScramVerifier, ComparesPreparedPasswords) {
  const auto verifier = ScramVerifier::make("p\u00E4ss", "salt", 1);
  EXPECT_TRUE(verifier.matches("pa\u0308ss"));       // decomposed
  EXPECT_TRUE(verifier.matches("p\u00E4\u00ADss"));  // with a soft hyphen, mapped to nothing
  EXPECT_FALSE(verifier.matches("p\u00E4sS"));
  // Not UTF-8: the octets count.
  const auto latin1 = ScramVerifier::make("p\xE4ss", "salt", 1);
  EXPECT_TRUE(latin1.matches("p\xE4ss"));
  EXPECT_FALSE(latin1.matches("p\xE5ss"));
}

TEST(ScramVerifier, RefusesWhatIsMalformed) {
  const std::string keys =
      ",WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=,wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=";
  EXPECT_TRUE(ScramVerifier::parse("1,AAAA" + keys));
  for (const std::string& text :
       {"0,AAAA" + keys, "-1,AAAA" + keys, "10000001,AAAA" + keys, "99999999999,AAAA" + keys,
        "1,AAA" + keys, "1," + keys, "1x,AAAA" + keys, "1,AAAA" + keys + ",", "1,AAAA" + keys + "A",
        std::string("1,AAAA,AAAA,AAAA"), std::string("1,AAAA")}) {
    EXPECT_FALSE(ScramVerifier::parse(text)) << text;
  }
}

}  // namespace
}  // namespace lmtpd::lookup
