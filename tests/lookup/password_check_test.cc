#include "lookup/check/password_check.h"

#include <gmock/gmock.h>

#include <map>
#include <string>

#include "lmtpd/event/event_ptr.h"
#include "tests/lookup/fake_table.h"

namespace lmtpd::lookup {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;

// Of "pencil".
constexpr auto kHash = "$1$TMbyNXba$aovNosx3T45nfzC8IMzNj/";
// Of RFC 7677's example.
constexpr auto kVerifier =
    "{SCRAM-SHA-256}4096,W22ZaJ0SNY7soEsUEjb6gQ==,WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=,"
    "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=";

class Passwords : public ::testing::Test {
 protected:
  Result<void> check(const PasswordCheck::Names& users) { return check_.run(users); }

  EventBasePtr base_{event_base_new()};
  FakeTable first_{"first"};
  FakeTable second_{"second"};
  Tables tables_{&first_, &second_};
  std::multimap<std::string, std::string> faults_;
  PasswordCheck check_{
      base_.get(), tables_,
      [this](const std::string& table, const std::string& user, const std::string& what) {
        faults_.emplace(table + ": " + user, what);
      }};
};

TEST_F(Passwords, OfAnyUsableKindAreNoFault) {
  first_.add("hash", kHash);
  second_.add("verifier", kVerifier);
  ASSERT_TRUE(check({"hash", "verifier", "gone"}));
  EXPECT_THAT(faults_, IsEmpty());
  EXPECT_THAT(check_.without_scram(), ElementsAre(Pair("first", ElementsAre("hash"))));
  EXPECT_THAT(check_.without_password(), ElementsAre("gone"));
}

TEST_F(Passwords, ThatCannotBeUsedAreFaultsWithTheReasonAndNothingOfThem) {
  first_.add("bare", "pencil");
  first_.add("cut", std::string(kHash).substr(0, 20));
  first_.add("plain", "{PLAIN}pencil");
  first_.add("scram", "{SCRAM-SHA-256}4096,pencil");
  first_.add("two", kHash);
  first_.add("two", kHash);
  ASSERT_TRUE(check({"bare", "cut", "plain", "scram", "two"}));
  EXPECT_THAT(
      faults_,
      ElementsAre(Pair("first: bare",
                       "cannot log in: the stored password, without a {SCHEME}, is no hash that "
                       "crypt(5) knows"),
                  Pair("first: cut",
                       "cannot log in: the stored password, without a {SCHEME}, is no hash that "
                       "crypt(5) knows"),
                  Pair("first: plain",
                       "cannot log in: the scheme {PLAIN} of the stored password is not supported"),
                  Pair("first: scram",
                       "cannot log in: what stands behind {SCRAM-SHA-256} is not "
                       "iterations,salt,stored,server"),
                  Pair("first: two", "cannot log in: several passwords of one user")));
  EXPECT_THAT(check_.without_scram(), IsEmpty());
}

// As at a login.
TEST_F(Passwords, CountInTheFirstTableThatHasTheUser) {
  first_.add("joe", kVerifier);
  second_.add("joe", "pencil");
  second_.add("jane", "pencil");
  ASSERT_TRUE(check({"joe", "jane"}));
  EXPECT_THAT(faults_, ElementsAre(Pair("second: jane", ::testing::_)));
  faults_.clear();
  second_.spoil();
  ASSERT_TRUE(check({"joe", "jane"}));
  EXPECT_THAT(faults_, ElementsAre(Pair("second: jane", "cannot log in: not valid UTF-8")));
}

TEST_F(Passwords, NeedTheAnswerOfEveryTable) {
  first_.add("joe", kVerifier);
  second_.fail();
  EXPECT_FALSE(check({"joe"}));
}

TEST_F(Passwords, OfWhichNothingCanBeMadeAreFaults) {
  first_.spoil();
  second_.add("joe", kVerifier);
  ASSERT_TRUE(check({"joe"}));
  EXPECT_THAT(faults_, ElementsAre(Pair("first: joe", "cannot log in: not valid UTF-8")));
  EXPECT_THAT(check_.without_password(), IsEmpty());
}

TEST_F(Passwords, AreNotSaidToBeRightWhereATableIsAway) {
  second_.fail();
  const Result<void> done = check({"joe"});
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().text, "connection refused");
}

TEST(SomeNames, AreThreeAndANumber) {
  EXPECT_EQ(some_names({"a"}), "<a>");
  EXPECT_EQ(some_names({"a", "b", "c"}), "<a>, <b>, <c>");
  EXPECT_EQ(some_names({"a", "b", "c", "d", "e"}), "<a>, <b>, <c> and 2 more");
}

}  // namespace
}  // namespace lmtpd::lookup
