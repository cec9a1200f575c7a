// What a row of a mailbox table leads to: dummies, paths, ids, and transport rows that refuse.
#include "lookup/mailbox_lookup.h"

#include <gtest/gtest.h>

#include <tuple>

#include "lmtpd/base/messages.h"
#include "tests/lookup/resolving.h"

namespace lmtpd::lookup {
namespace {

TEST_F(Resolving, TakesNoBrokenIds) {
  int number = 0;
  for (const auto& [uid, gid] :
       std::vector<std::pair<std::string, std::string>>{{"", "1"},
                                                        {"0", "1"},
                                                        {"-2", "1"},
                                                        {"1001x", "1"},
                                                        {" 1001", "1"},
                                                        {"0x3e9", "1"},
                                                        {"99", "1"},
                                                        {"4294967295", "1"},
                                                        {"4294968297", "1"},
                                                        {"1e3", "1"},
                                                        {"1001,1002", "1"},
                                                        {"+1001", "1"},
                                                        {"1001", "0"},
                                                        {"1001", "-1"},
                                                        {"1001", "junk"},
                                                        {"1001", "4294967296"}}) {
    const std::string address = "u" + std::to_string(number++) + "@d.org";
    user(address, uid, gid);
    EXPECT_EQ(resolve(address), "bad mailbox") << uid << ":" << gid;
  }
  user("floor@d.org", "100", "1");
  EXPECT_EQ(resolve("floor@d.org"), "floor@d.org");
}

TEST_F(Resolving, TakesNoMissingNorDoubleNorRefusedIds) {
  mailbox_.add("nouid@d.org", "x/");
  gid_.add("nouid@d.org", "1");
  EXPECT_EQ(resolve("nouid@d.org"), "bad mailbox");
  uid_.add("user2@d.org", "1001");
  EXPECT_EQ(resolve("user2@d.org"), "bad mailbox");
  settings_.owner_policy.refuse(Uid(1001), "a test's");
  EXPECT_EQ(resolve("user@d.org"), "bad mailbox");
  settings_.owner_policy = OwnerPolicy(100);
  settings_.owner_policy.refuse(Gid(1002), "a test's");
  EXPECT_EQ(resolve("user@d.org"), "bad mailbox");
}

TEST_F(Resolving, FindsUidAndGidUnderTheirOwnKeys) {
  mailbox_.add("boxed@v.org", "v/boxed/");
  uid_.add("@v.org", "2001");
  gid_.add("boxed@v.org", "2002");
  const Resolution resolution = resolution_of("boxed@v.org");
  ASSERT_TRUE(resolution.mailboxes);
  EXPECT_EQ(resolution.mailboxes->front().owner, (MailboxOwner{Uid(2001), Gid(2002)}));
}

TEST_F(Resolving, NeverTakesADummyForAMailbox) {
  mailbox_.add("user@d.org", "dummy");  // a transport row keyed by an address, 3.7
  EXPECT_EQ(resolve("user@d.org"), "user@d.org");
  mailbox_.add("ghost@d.org", "dummy");
  EXPECT_EQ(resolve("ghost@d.org"), "bad mailbox");
  EXPECT_EQ(resolve("ghost+x@d.org"), "bad mailbox");
  mailbox_.add("@trap.org", "dummy");
  EXPECT_EQ(resolve("anybody@trap.org"), "unknown");
  EXPECT_EQ(resolve("d.org@host.test"), "unknown");
  EXPECT_EQ(resolve("\"\"@d.org"), "unknown");
}

TEST_F(Resolving, NeedsOneMailboxRowThatIsAPath) {
  mailbox_.add("user@d.org", "boxes/elsewhere/");
  EXPECT_EQ(resolve("user@d.org"), "bad mailbox");
  int number = 0;
  for (const char* value : {"/", "no-slash", "../up/", "a/../b/", "."}) {
    const std::string address = "p" + std::to_string(number++) + "@d.org";
    mailbox_.add(address, value);
    uid_.add(address, "1001");
    gid_.add(address, "1001");
    EXPECT_EQ(resolve(address), "bad mailbox") << value;
  }
}

// ---- section 8, ISPmail and its like

TEST_F(Resolving, MakesThePathOfATemplateWhereTheRowOnlySaysYes) {
  settings_.mailbox_path_template = "%d/%u/Maildir/";
  for (const char* address : {"joe@i.org", "@all.org", "path@i.org", "echo@i.org"}) {
    uid_.add(address, "5000");
    gid_.add(address, "5000");
  }
  mailbox_.add("joe@i.org", "1");
  mailbox_.add("echo@i.org", "Echo@i.org");
  mailbox_.add("path@i.org", "given/path/");
  mailbox_.add("@all.org", "1");
  const auto path = [&](const std::string& recipient) {
    const Resolution resolution = resolution_of(recipient);
    return resolution.mailboxes ? resolution.mailboxes->front().path.value()
                                : resolution.mailboxes.error().text;
  };
  EXPECT_EQ(path("Joe@I.org"), "i.org/joe/Maildir");
  EXPECT_EQ(path("joe+ext@i.org"), "i.org/joe/Maildir");
  EXPECT_EQ(path("echo@i.org"), "i.org/echo/Maildir");
  EXPECT_EQ(path("path@i.org"), "given/path");
  EXPECT_EQ(path("Any+x@all.org"), "all.org/any/Maildir");
  for (const char* hostile : {"a/b@all.org", "..@all.org", ".@all.org", "../../etc@all.org"}) {
    EXPECT_EQ(resolve(hostile), "bad mailbox") << hostile;
  }
}

// ---- transport rows

TEST_F(Resolving, RefusesForTransportRowsOfErrorsOnly) {
  settings_.transport_maps = {&transport_};
  settings_.transport_errors = true;
  EXPECT_EQ(resolve("user@d.org"), "user@d.org");
  transport_.add("d.org", "lmtp:unix:private/dovecot-lmtp");
  EXPECT_EQ(resolve("user@d.org"), "user@d.org");
  transport_.add("user@d.org", "error:5.2.1 account closed");
  const Resolution closed = resolution_of("user+x@d.org");
  EXPECT_EQ(closed.mailboxes.error().reason, Reason::transport_error);
  EXPECT_EQ(closed.mailboxes.error().text, "5.2.1 account closed");
  transport_.add("user2@d.org", "retry:");
  const Resolution retry = resolution_of("user2@d.org");
  EXPECT_EQ(retry.mailboxes.error().reason, Reason::transport_retry);
  EXPECT_EQ(retry.mailboxes.error().text, "4.0.0 Address is undeliverable");
  transport_.add(".sub.org", "error:no status");
  user("u@a.b.sub.org");
  EXPECT_EQ(resolution_of("u@a.b.sub.org").mailboxes.error().text, "5.0.0 no status");
  transport_.fail();
  EXPECT_EQ(resolve("user2@d.org"), "lookup failed");
}

// As bounce(8) and defer(8) do.
TEST_F(Resolving, ReplacesATransportRowsStatusOfAnotherClass) {
  settings_.transport_maps = {&transport_};
  settings_.transport_errors = true;
  const std::tuple<std::string, Reason, std::string> cases[] = {
      {"retry:5.7.1 not yet", Reason::transport_retry, "4.0.0 not yet"},
      {"retry:4.3.2 not yet", Reason::transport_retry, "4.3.2 not yet"},
      {"error:4.3.0 never", Reason::transport_error, "5.0.0 never"},
      {"error:2.0.0 never", Reason::transport_error, "5.0.0 2.0.0 never"},
      {"error:5.1.1\tgone", Reason::transport_error, "5.1.1 gone"},
      // RFC 3463 2: no status, but words.
      {"error:5.01.1 gone", Reason::transport_error, "5.0.0 5.01.1 gone"},
      {"retry:4.1.001 gone", Reason::transport_retry, "4.0.0 4.1.001 gone"},
  };
  for (int i = 0; const auto& [row, reason, text] : cases) {
    const std::string address = "t" + std::to_string(i++) + "@d.org";
    user(address);
    transport_.add(address, row);
    const Resolution refused = resolution_of(address);
    EXPECT_EQ(refused.mailboxes.error().reason, reason) << row;
    EXPECT_EQ(refused.mailboxes.error().text, text);
  }
}

// ---- long addresses

TEST_F(Resolving, TakesNoAddressThatIsTooLongForATarget) {
  settings_.virtual_alias_address_length_limit = 1'000'000;
  for (const std::size_t length : {kLongestAddress, kLongestAddress + 1}) {
    const std::string domain = "@d.org";
    const std::string target = std::string(length - domain.size(), 'x') + domain;
    const std::string alias = "a" + std::to_string(length) + domain;
    alias_.add(alias, target);
    mailbox_.add(target, "d.org/long/");
    uid_.add(target, "1001");
    gid_.add(target, "1001");
    const Resolution resolution = resolution_of(alias);
    if (length == kLongestAddress) {
      ASSERT_TRUE(resolution.mailboxes);
      EXPECT_EQ(resolution.mailboxes->front().delivered_to.size(), length);
    } else {
      ASSERT_FALSE(resolution.mailboxes);
      EXPECT_EQ(resolution.mailboxes.error().reason, Reason::alias_limit);
    }
  }
}

// ---- postmaster

TEST_F(Resolving, SendsPostmasterWhereTheAdministratorSays) {  // B23, B24
  EXPECT_EQ(resolve("postmaster"), "unknown");
  EXPECT_EQ(resolve("Postmaster@d.org"), "unknown");
  settings_.postmaster_address = PlainAddress{"user", "d.org"};
  EXPECT_EQ(resolve("PostMaster"), "user@d.org");
  EXPECT_EQ(resolve("Postmaster@D.org"), "user@d.org");
  EXPECT_EQ(resolve("postmaster@not-ours.example"), "unknown");
  EXPECT_EQ(resolve("other"), "unknown");
  alias_.add("postmaster@d.org", "user2@d.org");
  EXPECT_EQ(resolve("postmaster@d.org"), "user2@d.org");
}

}  // namespace
}  // namespace lmtpd::lookup
