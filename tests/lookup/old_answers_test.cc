// What may follow from answers past their life, while a database is away (lookup/table_search.h).

#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <optional>

#include "lmtpd/event/event_ptr.h"
#include "lookup/cached_table.h"
#include "tests/lookup/resolving.h"

namespace lmtpd::lookup {
namespace {

class OldAnswers : public Resolving {};

// The row has changed, or is gone, while what it leads to is known as it is now.
TEST_F(OldAnswers, RefuseNobodyForWhatTheyLeadTo) {
  alias_.add("to-nobody@d.org", "nobody@d.org");
  alias_.add("half@d.org", "user@d.org, nobody@d.org");
  alias_.add("remote@d.org", "x@remote.example");
  alias_.add("to-closed@d.org", "closed@d.org");
  user("closed@d.org");
  settings_.transport_maps = {&transport_};
  settings_.transport_errors = true;
  transport_.add("closed@d.org", "error:5.2.1 closed");
  const auto alias_resolves = [&](const std::string& alias) {
    const std::string now = resolve(alias);
    alias_.go_away(alias);
    return now + ", " + resolve(alias);
  };
  for (const AliasExpansion mode : {AliasExpansion::automatic, AliasExpansion::full}) {
    settings_.alias_expansion = mode;
    const FakeTable saved = alias_;
    settings_.remote_alias_target = RemoteAliasTarget::reject;
    EXPECT_EQ(alias_resolves("to-nobody@d.org"), "unknown, lookup failed");
    EXPECT_EQ(alias_resolves("half@d.org"), "user@d.org, lookup failed");
    EXPECT_EQ(alias_resolves("remote@d.org"), "unknown, lookup failed");
    EXPECT_EQ(alias_resolves("to-closed@d.org"), "transport error, lookup failed");
    settings_.remote_alias_target = RemoteAliasTarget::defer;
    EXPECT_TRUE(resolution_of("remote@d.org").notes.empty()) << "nothing to mend";
    alias_ = saved;
  }
}

TEST_F(OldAnswers, RefuseNobodyForATransportRowThatMayBeGone) {
  settings_.transport_maps = {&transport_};
  settings_.transport_errors = true;
  transport_.add("user@d.org", "error:5.2.1 closed");
  transport_.add("d.org", "lmtp:unix:lmtpd");
  EXPECT_EQ(resolve("user@d.org"), "transport error");
  transport_.go_away("user@d.org");
  EXPECT_EQ(resolve("user@d.org"), "lookup failed");
  transport_.go_away("user2@d.org");
  transport_.go_away("d.org");
  EXPECT_EQ(resolve("user2@d.org"), "user2@d.org") << "a row that lets mail through";
}

TEST_F(OldAnswers, RefuseNobodyForADummyInPlaceOfACatchAll) {
  mailbox_.add("@trap.org", "dummy");
  EXPECT_EQ(resolve("anybody@trap.org"), "unknown");
  mailbox_.go_away("@trap.org");
  EXPECT_EQ(resolve("anybody@trap.org"), "lookup failed");
}

TEST_F(OldAnswers, RefuseNobodyForADomainThatMayNotBeServed) {
  FakeTable domains("fake:domains", {{"other.org", "yes"}});
  alias_.add("alias@d.org", "nobody@other.org");
  settings_.virtual_mailbox_domains = {{false, "", &domains}};
  EXPECT_EQ(resolve("alias@d.org"), "unknown");
  domains.go_away("other.org");
  EXPECT_EQ(resolve("alias@d.org"), "lookup failed");
  settings_.virtual_mailbox_domains = {{true, "", &domains}, {false, "other.org", nullptr}};
  settings_.remote_alias_target = RemoteAliasTarget::reject;
  EXPECT_EQ(resolve("alias@d.org"), "lookup failed");
}

// The catch-all's own row may be as old as it likes.
TEST_F(OldAnswers, GiveTheCatchAllWhatIsItsOwn) {
  user("@box.org");
  for (FakeTable* table : {&mailbox_, &uid_, &gid_}) table->go_away("@box.org");
  EXPECT_EQ(resolve("any@box.org"), "any@box.org");
  alias_.add("alias@d.org", "any@box.org");
  EXPECT_EQ(resolve("alias@d.org"), "any@box.org");
  alias_.go_away("alias@d.org");
  EXPECT_EQ(resolve("alias@d.org"), "lookup failed") << "it may lead to somebody else by now";
}

TEST_F(OldAnswers, GiveNobodysMailToTheCatchAllOfADomainThatMayBeLocal) {
  FakeTable foreign("fake:foreign", {{"local.org", "yes"}});
  settings_.local_domains = {{true, "", &foreign}, {false, "local.org", nullptr}};
  mailbox_.add("abuse", "boxes/abuse/");
  user("@local.org");
  EXPECT_EQ(resolve("abuse@local.org"), "abuse@local.org");
  foreign.go_away("local.org");
  EXPECT_EQ(resolve("abuse@local.org"), "lookup failed");
}

TEST_F(OldAnswers, RefuseNoPostmaster) {
  settings_.postmaster_address = PlainAddress{"user", "d.org"};
  FakeTable domains("fake:domains");
  settings_.virtual_mailbox_domains = {{false, "", &domains}};
  EXPECT_EQ(resolve("postmaster@new.org"), "unknown");
  domains.go_away();
  EXPECT_EQ(resolve("postmaster@new.org"), "lookup failed");
}

// A row may be there by now that comes before the catch-all.
TEST_F(OldAnswers, GiveNobodysMailToTheCatchAll) {
  user("@box.org");
  alias_.add("@d.org", "user2@d.org");
  for (const AliasExpansion mode : {AliasExpansion::automatic, AliasExpansion::full}) {
    settings_.alias_expansion = mode;
    EXPECT_EQ(resolve("new@d.org"), "user2@d.org");
    EXPECT_EQ(resolve("new@box.org"), "new@box.org");
  }
  mailbox_.go_away();
  EXPECT_EQ(resolve("new@box.org"), "lookup failed");
  settings_.alias_expansion = AliasExpansion::automatic;
  EXPECT_EQ(resolve("new@d.org"), "lookup failed");
  EXPECT_EQ(resolve("user+ext@d.org"), "user+ext@d.org");
}

TEST_F(OldAnswers, RefuseNobodyForTheTransportOfHisDomain) {
  settings_.transport_maps = {&transport_};
  settings_.transport_errors = true;
  transport_.add("d.org", "error:5.1.1 closed");
  EXPECT_EQ(resolve("user@d.org"), "transport error");
  transport_.go_away();
  EXPECT_EQ(resolve("user@d.org"), "lookup failed");
}

// With old answers mail goes on to whom they name, and nobody is refused.
TEST_F(OldAnswers, RefuseNobody) {
  alias_.add("alias@d.org", "user@d.org");
  alias_.add("remote@d.org", "x@remote.example");
  alias_.add("half@d.org", "user@d.org, nobody@d.org");
  alias_.add("@catch.org", "user2@d.org");
  settings_.remote_alias_target = RemoteAliasTarget::reject;
  for (FakeTable* table : {&alias_, &mailbox_, &uid_, &gid_}) table->go_away();
  for (const AliasExpansion mode : {AliasExpansion::automatic, AliasExpansion::full}) {
    settings_.alias_expansion = mode;
    EXPECT_EQ(resolve("user@d.org"), "user@d.org");
    EXPECT_EQ(resolve("user+ext@d.org"), "user+ext@d.org");
    EXPECT_EQ(resolve("alias@d.org"), "user@d.org");
    EXPECT_EQ(resolve("any@catch.org"), "lookup failed");  // may have a row by now
    for (const char* recipient :
         {"nobody@d.org", "nobody@nowhere.org", "remote@d.org", "half@d.org"}) {
      EXPECT_EQ(resolve(recipient), "lookup failed") << recipient;
    }
  }
}

// Another's table, for who wants one of his own.
class Lent final : public Table {
 public:
  explicit Lent(Table& table) : table_(table) {}
  std::optional<Answer> lookup(std::string_view key, Asker& asker, std::uint64_t id) override {
    return table_.lookup(key, asker, id);
  }
  [[nodiscard]] std::vector<Availability*> databases() const override { return table_.databases(); }
  [[nodiscard]] const std::string& name() const override { return table_.name(); }

 private:
  Table& table_;
};

class SlowDatabase : public OldAnswers {
 protected:
  SlowDatabase() {
    settings_.virtual_alias_maps = {&cached_alias_};
    settings_.virtual_mailbox_maps = {&cached_mailbox_};
    settings_.virtual_uid_maps = {&cached_uid_};
    settings_.virtual_gid_maps = {&cached_gid_};
    settings_.virtual_mailbox_domains = {{false, "", &cached_mailbox_}};
    settings_.alias_expansion = AliasExpansion::full;
  }
  std::unique_ptr<Table> of_database(FakeTable& table) {
    table.of(database_);
    return std::make_unique<Lent>(table);
  }

  Clock::time_point now_;
  AnswerCache cache_{AnswerCache::Limits{}, [this] { return now_; }};
  EventBasePtr base_{event_base_new()};
  Availability database_{base_.get(), [this] { return now_; }};
  RecentChanges changes_;
  CachedTable::Shared shared_{cache_, changes_};
  CachedTable cached_alias_{of_database(alias_), shared_, 0};
  CachedTable cached_mailbox_{of_database(mailbox_), shared_, 1};
  CachedTable cached_uid_{of_database(uid_), shared_, 2};
  CachedTable cached_gid_{of_database(gid_), shared_, 3};
};

// Two aliases are changed to lead past a user, who is removed: he is asked for, and is known to be
// gone before the aliases are known to have changed.
TEST_F(SlowDatabase, MakesNoUnknownUserOutOfAnOldAliasAndANewAbsence) {
  user("gone@d.org");
  alias_.add("alias@d.org", "gone@d.org");
  alias_.add("both@d.org", "user@d.org, gone@d.org");
  EXPECT_EQ(resolve("alias@d.org"), "gone@d.org");
  EXPECT_EQ(resolve("both@d.org"), "user@d.org gone@d.org");

  for (const char* alias : {"alias@d.org", "both@d.org"}) alias_.remove(alias);
  alias_.add("alias@d.org", "user2@d.org");
  alias_.add("both@d.org", "user@d.org, user2@d.org");
  for (FakeTable* table : {&mailbox_, &uid_, &gid_}) table->remove("gone@d.org");
  now_ += std::chrono::seconds(301);
  Rounds rounds;
  answer_in(rounds);
  Resolver resolver(settings_);
  EXPECT_FALSE(resolver.resolve(*Address::parse("gone@d.org"), *this, 0));
  now_ += Availability::kPatience;
  while (heard_.empty()) event_base_loop(base_.get(), EVLOOP_ONCE);
  EXPECT_TRUE(heard_[0].second.mailboxes) << "an old answer lets mail through";
  rounds.play_all();
  ASSERT_TRUE(database_.old_answers_will_do()) << "it has answered, but late";
  EXPECT_EQ(cached_mailbox_.origin("gone@d.org"), Table::Origin::cache);

  EXPECT_EQ(resolve("alias@d.org"), "lookup failed");
  EXPECT_EQ(resolve("both@d.org"), "lookup failed");
  rounds.play_all();
  for (FakeTable* table : {&alias_, &mailbox_, &uid_, &gid_}) table->answer_in(nullptr);
  EXPECT_EQ(resolve("alias@d.org"), "user2@d.org");
  EXPECT_EQ(resolve("both@d.org"), "user@d.org user2@d.org");
}

}  // namespace
}  // namespace lmtpd::lookup
