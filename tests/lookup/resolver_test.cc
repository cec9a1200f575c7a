#include "lookup/resolver.h"

#include <gtest/gtest.h>

#include <map>

#include "tests/lookup/resolving.h"

namespace lmtpd::lookup {
namespace {

// Answers that are missing when they are first needed, and there once they have arrived.
class LateAnswers final : public Answers {
 public:
  const Answer* need(Table& table, std::string_view key) override {
    ++needed_;
    prefetch(table, key);
    const Late& answer = answers_.at({&table, std::string(key)});
    return answer.is_here ? &answer.answer : nullptr;
  }
  void prefetch(Table& table, std::string_view key) override {
    const auto [place, is_new] = answers_.try_emplace({&table, std::string(key)});
    if (is_new) place->second.answer = table.lookup(key, nobody_, 0).value();
  }
  void arrive() {
    for (auto& [question, answer] : answers_) answer.is_here = true;
  }
  [[nodiscard]] std::size_t needed() const { return needed_; }

 private:
  struct Late {
    Answer answer;
    bool is_here = false;
  };
  class Nobody final : public Asker {
    void on_answer(std::uint64_t, const Answer&) override {}
  };
  std::map<std::pair<Table*, std::string>, Late> answers_;
  Nobody nobody_;
  std::size_t needed_ = 0;
};

// ---- alias_expansion

TEST_F(Resolving, AutoEndsAtAMailboxBeforeItsAlias) {
  alias_.add("user@d.org", "user2@d.org");
  EXPECT_EQ(resolve("user@d.org"), "user@d.org");
  settings_.alias_expansion = AliasExpansion::full;
  EXPECT_EQ(resolve("user@d.org"), "user2@d.org");
  settings_.alias_expansion = AliasExpansion::off;
  EXPECT_EQ(resolve("user@d.org"), "user@d.org");
}

TEST_F(Resolving, AutoTakesTheAliasOfTheFullAddressBeforeTheMailboxOfTheShorter) {
  alias_.add("user+ext@d.org", "user2@d.org");
  EXPECT_EQ(resolve("user+ext@d.org"), "user2@d.org");
  EXPECT_EQ(resolve("user+other@d.org"), "user+other@d.org");
}

TEST_F(Resolving, AutoShieldsUsersFromTheCatchAll) {
  alias_.add("@d.org", "user2@d.org");
  EXPECT_EQ(resolve("user@d.org"), "user@d.org");
  EXPECT_EQ(resolve("user+x@d.org"), "user+x@d.org");
  EXPECT_EQ(resolve("anybody@d.org"), "user2@d.org");
}

TEST_F(Resolving, AutoWritesTheRowsSpellingAndTheClientsExtension) {
  EXPECT_EQ(resolve("USER+Ext@D.ORG"), "user+Ext@d.org");
  user("@all.org");
  EXPECT_EQ(resolve("AnyBody@All.Org"), "AnyBody@All.Org");  // no row spells this one
}

TEST_F(Resolving, OffFollowsNoAlias) {
  settings_.alias_expansion = AliasExpansion::off;
  alias_.add("alias@d.org", "user@d.org");
  EXPECT_EQ(resolve("alias@d.org"), "unknown");
  EXPECT_EQ(alias_.asked(), 0);
}

// ---- keys, extensions, results

TEST_F(Resolving, AsksForBareLocalPartsInLocalDomainsOnly) {
  alias_.add("abuse", "user@d.org");
  EXPECT_EQ(resolve("abuse@host.test"), "user@d.org");
  EXPECT_EQ(resolve("abuse+x@HOST.test"), "user+x@d.org");
  EXPECT_EQ(resolve("abuse@d.org"), "unknown");
}

TEST_F(Resolving, AsksListsOfLocalDomainsInTables) {
  FakeTable domains("fake:domains", {{"local.org", "anything"}});
  settings_.local_domains = {{true, "d.org", nullptr}, {false, "", &domains}};
  alias_.add("abuse", "user@d.org");
  EXPECT_EQ(resolve("abuse@local.org"), "user@d.org");
  EXPECT_EQ(resolve("abuse@other.org"), "unknown");
  EXPECT_EQ(resolve("abuse@d.org"), "unknown");
  EXPECT_FALSE(domains.was_asked_for("d.org"));
  domains.fail();
  EXPECT_EQ(resolve("abuse@other.org"), "lookup failed");
  EXPECT_EQ(resolve("user@d.org"), "user@d.org");  // was not in question
}

TEST_F(Resolving, PropagatesTheExtensionThatNoRowMatched) {
  alias_.add("two@d.org", "user@d.org, user2@d.org");
  EXPECT_EQ(resolve("two+X@d.org"), "user+X@d.org user2+X@d.org");
  settings_.propagate_unmatched_extensions = false;
  EXPECT_EQ(resolve("two+X@d.org"), "user@d.org user2@d.org");
}

TEST_F(Resolving, MovesAUserToAnotherDomainOnce) {
  alias_.add("@old.org", "@d.org");
  alias_.add("user2@older.org", "@d.org");
  EXPECT_EQ(resolve("user+x@old.org"), "user+x@d.org");
  EXPECT_EQ(resolve("user2+x@older.org"), "user2+x@d.org");
}

TEST_F(Resolving, JoinsTheValuesOfSeveralRows) {
  alias_.add("two@d.org", "user@d.org");
  alias_.add("two@d.org", "user2@d.org");
  EXPECT_EQ(resolve("two@d.org"), "user@d.org user2@d.org");
}

TEST_F(Resolving, RefusesAResultThatCouldBreakAHeader) {
  alias_.add("evil@d.org", "\"user\nX-Header: y\"@d.org");
  EXPECT_EQ(resolve("evil@d.org"), "lookup failed");
  alias_.add("bytes@d.org",
             "us\xff"
             "er@d.org");
  EXPECT_EQ(resolve("bytes@d.org"), "lookup failed");
}

// ---- several tables

TEST_F(Resolving, TriesAKeyInEveryTableBeforeTheNextKey) {
  FakeTable second("fake:second", {{"user3@d.org", "user@d.org"}});
  alias_.add("@d.org", "user2@d.org");
  settings_.virtual_alias_maps = {&alias_, &second};
  EXPECT_EQ(resolve("user3@d.org"), "user@d.org");
  EXPECT_EQ(resolve("user4@d.org"), "user2@d.org");
  alias_.fail();  // the search ends at the first table that cannot answer
  EXPECT_EQ(resolve("user3@d.org"), "lookup failed");
}

// ---- recursion

TEST_F(Resolving, DetectsLoopsButNotBranchesThatMeet) {
  alias_.add("a@l.org", "b@l.org, user@d.org");
  alias_.add("b@l.org", "c@l.org");
  alias_.add("c@l.org", "a@l.org");
  EXPECT_EQ(resolve("a@l.org"), "alias limit");
  EXPECT_NE(resolution_of("a@l.org").mailboxes.error().text.find("leads back to itself"),
            std::string::npos);  // and not the limit that Postfix runs to

  alias_.add("top@l.org", "left@l.org, right@l.org");
  alias_.add("left@l.org", "user@d.org");
  alias_.add("right@l.org", "user@d.org");
  EXPECT_EQ(resolve("top@l.org"), "user@d.org");

  alias_.add("keep@l.org", "keep@l.org, back@l.org");  // a self-result ends its own expansion
  alias_.add("back@l.org", "keep@l.org");
  user("keep@l.org");
  settings_.alias_expansion = AliasExpansion::full;
  EXPECT_EQ(resolve("keep@l.org"), "keep@l.org");
  EXPECT_EQ(resolve("back@l.org"), "keep@l.org");  // the second round would end there
}

TEST_F(Resolving, FollowsACircleThatASelfResultEndsInWhateverOrder) {
  settings_.alias_expansion = AliasExpansion::full;
  user("keep@l.org");
  alias_.add("in@l.org", "on@l.org");
  alias_.add("on@l.org", "keep@l.org, user@d.org");
  alias_.add("keep@l.org", "in@l.org, keep@l.org");
  EXPECT_EQ(resolve("in@l.org"), "keep@l.org user@d.org");
  EXPECT_EQ(resolve("keep@l.org"), "keep@l.org user@d.org");
  alias_.add("off@l.org", "keep@l.org, round@l.org");  // beside it one that nothing ends
  alias_.add("round@l.org", "off@l.org");
  EXPECT_EQ(resolve("off@l.org"), "alias limit");
}

TEST_F(Resolving, EndsWhatGrowsWithoutEnd) {
  alias_.add("grow@l.org", "grow+x@l.org");  // longer at each step: no address comes twice
  EXPECT_EQ(resolve("grow@l.org"), "alias limit");
  alias_.add("wide@l.org", "wide1@l.org, wide2@l.org");
  settings_.virtual_alias_expansion_limit = 1;
  EXPECT_EQ(resolve("wide@l.org"), "alias limit");
  settings_.virtual_alias_expansion_limit = 1000;
  settings_.virtual_alias_address_length_limit = 5;
  EXPECT_EQ(resolve("wide@l.org"), "alias limit");
  user("\"a b\"@d.org");
  alias_.add("long@l.org", "\"a b\"@d.org");
  settings_.virtual_alias_address_length_limit = 9;  // without the quotes
  EXPECT_EQ(resolve("long@l.org"), "\"a b\"@d.org");
  settings_.virtual_alias_address_length_limit = 8;
  EXPECT_EQ(resolve("long@l.org"), "alias limit");
}

TEST_F(Resolving, AsksForNothingBeyondTheExpansionLimit) {
  std::string targets;
  for (int i = 0; i < 1001; ++i) targets += "w" + std::to_string(i) + "@l.org ";
  alias_.add("wide@l.org", targets);
  EXPECT_EQ(round_trips("wide@l.org"), 1);
  EXPECT_EQ(name_of(heard_.back().second.mailboxes.error().reason), "alias limit");
  EXPECT_LT(questions(), 10);
}

TEST_F(Resolving, LooksAheadAtSomeAddressesOnly) {
  std::string lists;
  for (int i = 0; i < 100; ++i) {
    const std::string list = "list" + std::to_string(i) + "@l.org";
    lists += list + " ";
    for (int j = 0; j < 100; ++j) {
      alias_.add(list, "w" + std::to_string(i) + "." + std::to_string(j) + "@l.org");
    }
  }
  alias_.add("lists@l.org", lists);
  round_trips("lists@l.org");
  EXPECT_EQ(name_of(heard_.back().second.mailboxes.error().reason), "alias limit");
  EXPECT_LT(questions(), 4000);
}

TEST_F(Resolving, HoldsTheRecursionLimit) {
  for (int i = 0; i < 20; ++i) {
    alias_.add("c" + std::to_string(i) + "@l.org", "c" + std::to_string(i + 1) + "@l.org");
  }
  alias_.add("c20@l.org", "user@d.org");
  EXPECT_EQ(resolve("c0@l.org"), "user@d.org");
  settings_.virtual_alias_recursion_limit = 20;
  EXPECT_EQ(resolve("c0@l.org"), "alias limit");
}

// ---- remote and dead targets

TEST_F(Resolving, DefersOrRejectsARecipientWithARemoteTarget) {
  alias_.add("mixed@d.org", "user@d.org, someone@remote.example");
  const Resolution resolution = resolution_of("mixed@d.org");
  ASSERT_FALSE(resolution.mailboxes);
  EXPECT_EQ(resolution.mailboxes.error().reason, Reason::remote_target);
  EXPECT_EQ(resolution.mailboxes.error().text,
            "alias target <someone@remote.example> is not a local mailbox; let Postfix expand it "
            "(virtual_alias_maps)");
  ASSERT_EQ(resolution.notes.size(), 1U);
  EXPECT_NE(resolution.notes[0].text.find("<mixed@d.org>"), std::string::npos);
  settings_.remote_alias_target = RemoteAliasTarget::reject;
  EXPECT_EQ(resolve("mixed@d.org"), "unknown");
}

TEST_F(Resolving, NeverTakesTheRecipientItselfForRemote) {
  EXPECT_EQ(resolve("someone@remote.example"), "unknown");
  settings_.alias_expansion = AliasExpansion::full;
  alias_.add("self@remote.example", "self@remote.example");
  EXPECT_EQ(resolve("self@remote.example"), "unknown");
}

TEST_F(Resolving, DeliversToLivingTargetsAndNotesTheDead) {
  alias_.add("both@d.org", "nobody@d.org, user@d.org");
  const Resolution resolution = resolution_of("both@d.org");
  ASSERT_TRUE(resolution.mailboxes);
  ASSERT_EQ(resolution.mailboxes->size(), 1U);
  ASSERT_EQ(resolution.notes.size(), 1U);
  EXPECT_NE(resolution.notes[0].text.find("nobody@d.org"), std::string::npos);
  alias_.add("dead@d.org", "nobody@d.org");
  EXPECT_EQ(resolve("dead@d.org"), "unknown");
}

TEST_F(Resolving, TakesATargetForDeadThatItsTransportRowRefusesForGood) {
  settings_.transport_maps = {&transport_};
  settings_.transport_errors = true;
  transport_.add("user2@d.org", "error:5.2.1 closed");
  alias_.add("both@d.org", "user2@d.org, user@d.org");
  const Resolution resolution = resolution_of("both@d.org");
  EXPECT_EQ(resolve("both@d.org"), "user@d.org");
  ASSERT_EQ(resolution.notes.size(), 1U);
  EXPECT_EQ(resolution.notes[0].text,
            "alias <both@d.org>: dead target beside living ones: <user2@d.org>: 5.2.1 closed");
  user("user3@d.org");
  transport_.add("user3@d.org", "retry:4.2.1 not now");
  alias_.add("later@d.org", "user3@d.org, user@d.org");
  EXPECT_EQ(resolve("later@d.org"), "transport retry");
}

// The rows have as many recipients as a client likes to name.
TEST_F(Resolving, KeepsTheNotesOfAnAliasRowUnderItsKey) {
  alias_.add("list@d.org", "nobody@d.org, user@d.org, nobody2@d.org");
  alias_.add("other@d.org", "nobody@d.org, user@d.org");
  alias_.add("@catch.org", "someone@remote.example");
  const auto keys = [&](const std::string& recipient) {
    std::vector<std::string> found;
    for (const Note& note : resolution_of(recipient).notes) found.push_back(note.key);
    return found;
  };
  const std::vector<std::string> of_list = keys("list@d.org");
  ASSERT_EQ(of_list.size(), 2U);
  EXPECT_NE(of_list[0], of_list[1]);
  EXPECT_EQ(keys("List+1@d.org"), of_list);
  EXPECT_EQ(keys("list+2@d.org"), of_list);
  EXPECT_NE(keys("other@d.org"), std::vector(1, of_list[0]));
  ASSERT_EQ(keys("a@catch.org").size(), 1U);
  EXPECT_EQ(keys("a@catch.org"), keys("b+x@catch.org"));
}

TEST_F(Resolving, FailsTheRecipientForABrokenTarget) {
  user("root@d.org", "0");
  alias_.add("both@d.org", "root@d.org, user@d.org");
  EXPECT_EQ(resolve("both@d.org"), "bad mailbox");
}

TEST_F(Resolving, NamesEachPathOnce) {
  mailbox_.add("other@d.org", "/boxes//user@d.org/");
  uid_.add("other@d.org", "1001");
  gid_.add("other@d.org", "1002");
  alias_.add("both@d.org", "other@d.org, user@d.org");
  EXPECT_EQ(resolve("both@d.org"), "other@d.org");
}

// ---- failures are never unknown users

TEST_F(Resolving, NeverTakesAFailureForAnUnknownUser) {
  alias_.add("alias@d.org", "user@d.org");
  alias_.add("remote@d.org", "x@remote.example");
  for (const AliasExpansion mode :
       {AliasExpansion::automatic, AliasExpansion::full, AliasExpansion::off}) {
    settings_.alias_expansion = mode;
    for (FakeTable* table : {&alias_, &mailbox_, &uid_, &gid_}) {
      const FakeTable saved = *table;
      table->fail();
      for (const char* recipient :
           {"user@d.org", "nobody@d.org", "alias@d.org", "remote@d.org", "nobody@nowhere.org"}) {
        const int before = table->asked();
        const std::string reply = resolve(recipient);
        if (table->asked() > before) {
          EXPECT_EQ(reply, "lookup failed") << recipient << " without " << table->name();
        }
      }
      *table = saved;
    }
  }
}

// ---- round trips

TEST_F(Resolving, CostsARoundTripAnAliasStepAndOneForTheIds) {
  EXPECT_EQ(round_trips("user@d.org"), 2);
}
TEST_F(Resolving, CostsNoMoreForAnExtension) { EXPECT_EQ(round_trips("user+ext@d.org"), 2); }
TEST_F(Resolving, CostsOneRoundTripForAnUnknownUser) { EXPECT_EQ(round_trips("nobody@d.org"), 1); }
TEST_F(Resolving, CostsARoundTripForEachStepOfTheLongestLine) {
  alias_.add("a@d.org", "b@d.org, user2@d.org");
  alias_.add("b@d.org", "c@d.org, d@d.org, user2@d.org");
  alias_.add("c@d.org", "user@d.org");
  alias_.add("d@d.org", "user2@d.org");
  EXPECT_EQ(round_trips("a@d.org"), 5);
}
TEST_F(Resolving, CostsNoMoreWithFullExpansionAndTransports) {
  settings_.alias_expansion = AliasExpansion::full;
  settings_.transport_maps = {&transport_};
  settings_.transport_errors = true;
  alias_.add("user@d.org", "user@d.org");
  EXPECT_EQ(round_trips("user+ext@d.org"), 2);
}

TEST_F(Resolving, AsksForNothingBeyondTheAnswerWhenAllIsKnown) {
  EXPECT_EQ(resolve("user@d.org"), "user@d.org");
  EXPECT_EQ(questions(), 3);  // mailbox, uid, gid
}

TEST_F(Resolving, AsksEachKeyOnce) {
  Rounds rounds;
  answer_in(rounds);
  alias_.add("two@d.org", "user@d.org, user@d.org, two@d.org");
  Resolver resolver(settings_);
  EXPECT_FALSE(resolver.resolve(*Address::parse("two@d.org"), *this, 0));
  rounds.play_all();
  // two@ and user@: full and @domain key in alias and mailbox; the second's ids.
  EXPECT_EQ(alias_.asked(), 3);
  EXPECT_EQ(mailbox_.asked(), 3);
}

// Nothing is walked again for each answer that comes.
TEST_F(Resolving, LooksAtFewAnswersForEachStepOfLongLines) {
  constexpr std::size_t kSteps = 200;
  alias_.add("start@d.org", "a0@d.org, b0@d.org");
  for (const std::string line : {"a", "b"}) {
    for (std::size_t i = 0; i < kSteps; ++i) {
      const std::string next = line + std::to_string(i + 1);
      alias_.add(line + std::to_string(i) + "@d.org", next + "@d.org");
    }
    alias_.add(line + std::to_string(kSteps) + "@d.org", "user@d.org");
  }
  LateAnswers answers;
  Evaluation evaluation(*Address::parse("start@d.org"), settings_, answers);
  std::size_t runs = 1;
  std::optional<Resolution> resolution = evaluation.run();
  for (; !resolution; ++runs) {
    answers.arrive();
    resolution = evaluation.run();
  }
  EXPECT_TRUE(resolution->mailboxes);
  EXPECT_EQ(runs, kSteps + 5);
  EXPECT_LT(answers.needed(), 10 * 2 * kSteps);
}

TEST_F(Resolving, DoesNotWaitForAnswersThatNothingDependsOn) {
  Rounds fast;
  Rounds slow;
  alias_.answer_in(&slow);
  mailbox_.answer_in(&fast);
  Resolver resolver(settings_);
  EXPECT_FALSE(resolver.resolve(*Address::parse("user@d.org"), *this, 5));
  fast.play_all();
  ASSERT_EQ(heard_.size(), 1U);
  EXPECT_EQ(heard_[0].first, 5U);
  EXPECT_TRUE(heard_[0].second.mailboxes);
  EXPECT_EQ(resolver.under_way(), 1U);
  slow.play_all();
  EXPECT_EQ(heard_.size(), 1U);
  EXPECT_EQ(resolver.under_way(), 0U);
}

TEST_F(Resolving, TellsNothingToAClientThatIsGone) {
  Rounds rounds;
  answer_in(rounds);
  Resolver resolver(settings_);
  EXPECT_FALSE(resolver.resolve(*Address::parse("user@d.org"), *this, 5));
  resolver.abandon(*this);
  rounds.play_all();
  EXPECT_TRUE(heard_.empty());
  EXPECT_EQ(resolver.under_way(), 0U);
}

}  // namespace
}  // namespace lmtpd::lookup
