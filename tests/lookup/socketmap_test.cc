// Netstrings, and what the maps that Postfix asks answer.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "lookup/inquiry.h"
#include "lookup/map_query.h"
#include "lookup/netstring.h"
#include "tests/lookup/fake_table.h"

namespace lmtpd::lookup {
namespace {

using Kind = NetstringReader::Step::Kind;

TEST(Netstring, IsReadWhenAllOfItIsThere) {
  const NetstringReader reader(20);
  const std::string text = "23:virtual user@domain.org,";
  EXPECT_EQ(reader.read(text).kind, Kind::malformed);  // longer than 20
  const NetstringReader larger(23);
  for (std::size_t size = 0; size < text.size(); ++size) {
    EXPECT_EQ(larger.read(text.substr(0, size)).kind, Kind::need_more) << size;
  }
  const std::string two = text + "3:a b,";
  const NetstringReader::Step first = larger.read(two);
  EXPECT_EQ(first.string, "virtual user@domain.org");
  EXPECT_EQ(first.used, text.size());
  EXPECT_EQ(larger.read(std::string_view(two).substr(first.used)).string, "a b");
  EXPECT_EQ(larger.read("0:,").kind, Kind::string);
  EXPECT_EQ(larger.read("0:,").string, "");
}

TEST(Netstring, IsRefusedWhereItIsNone) {
  const NetstringReader reader(1000);
  for (const char* text : {"x", ":,", "1x", "-1:a,", "01:a,", "00:,", "1:ab", "1:a;", "1001",
                           "99999999999999999999999999", " 1:a,"}) {
    EXPECT_EQ(reader.read(text).kind, Kind::malformed) << text;
  }
  EXPECT_EQ(netstring("OK user@domain.org"), "18:OK user@domain.org,");
}

class Maps : public testing::Test, public Inquiries<MapReply>::Client {
 protected:
  Maps() {
    settings_.virtual_alias_maps = {&alias_};
    settings_.virtual_mailbox_maps = {&mailbox_};
    settings_.virtual_uid_maps = {&uid_};
    settings_.virtual_gid_maps = {&uid_};
    settings_.virtual_mailbox_domains = {{false, "", &mailbox_}};
    settings_.transport_maps = {&transport_};
  }
  void on_outcome(std::uint64_t, const MapReply& reply) override { told_.push_back(reply); }
  std::string ask(const std::string& map, const std::string& key) {
    Inquiries<MapReply> inquiries;
    std::optional<MapReply> reply = inquiries.begin(
        [&](Answers& answers) { return query_map(map, key, settings_, answers); }, *this, 0);
    while (!reply && told_.empty() && !rounds_.idle()) rounds_.play();
    if (!reply) reply = told_.at(0);
    rounds_.play_all();
    told_.clear();
    switch (reply->kind) {
      case MapReply::Kind::ok:
        return "OK " + reply->text;
      case MapReply::Kind::not_found:
        return "NOTFOUND";
      case MapReply::Kind::temporary:
        return "TEMP " + reply->text;
      case MapReply::Kind::permanent:
        return "PERM " + reply->text;
    }
    return "?";
  }

  FakeTable alias_{"alias:",
                   {{"user@d.org", "user@d.org"},
                    {"alias@d.org", "user@d.org, \"john doe\"@d.org"},
                    {"moved@d.org", "@e.org"},
                    {"@moved.org", "@e.org"},
                    {"@catch.org", "user@d.org"},
                    {"junk@d.org", ":,;"},
                    {"\"john doe\"@d.org", "john@d.org"}}};
  FakeTable mailbox_{"mailbox:",
                     {{"user@d.org", "d.org/user/"},
                      {"user@d.org", "dummy"},
                      {"@all.org", "all/"},
                      {"only@d.org", "dummy"},
                      {"jane doe@d.org", "jane/"},
                      {"d.org", "dummy"}}};
  FakeTable uid_{"uid:", {{"user@d.org", "1001"}, {"@d.org", "1002"}}};
  FakeTable transport_{"transport:",
                       {{"d.org", "lmtp:unix:Private/x"},
                        {"user@d.org", "virtual:"},
                        {".wild.org", "relay:"},
                        {"*", "smtp:"}}};
  ResolverSettings settings_;
  Rounds rounds_;
  std::vector<MapReply> told_;
};

TEST_F(Maps, AnswerFromTablesNowAndLater) {
  for (Rounds* rounds : {static_cast<Rounds*>(nullptr), &rounds_}) {
    for (FakeTable* table : {&alias_, &mailbox_, &uid_, &transport_}) table->answer_in(rounds);
    EXPECT_EQ(ask("virtual", "user@d.org"), "OK user@d.org");
    EXPECT_EQ(ask("mailbox", "user@d.org"), "OK d.org/user/");
    EXPECT_EQ(ask("domain", "D.org"), "OK d.org");
    EXPECT_EQ(ask("transport", "other@d.org"), "OK lmtp:unix:Private/x");
    EXPECT_EQ(ask("uid", "user@d.org"), "OK 1001");
    EXPECT_EQ(ask("gid", "nobody@d.org"), "OK 1002");
  }
}

TEST_F(Maps, FoldAndStripAndCatch) {
  EXPECT_EQ(ask("virtual", "USER@D.ORG"), "OK user@d.org");
  EXPECT_EQ(ask("virtual", "user+Ext@d.org"), "OK user+Ext@d.org");
  EXPECT_EQ(ask("virtual", "alias+x@d.org"), "OK user+x@d.org, \"john doe+x\"@d.org");
  EXPECT_EQ(ask("virtual", "moved+x@d.org"), "OK moved+x@e.org");
  EXPECT_EQ(ask("virtual", "any+x@moved.org"), "OK any+x@e.org");
  EXPECT_EQ(ask("virtual", "any+x@catch.org"), "OK user@d.org");
  EXPECT_EQ(ask("virtual", "\"John Doe\"@d.org"), "OK john@d.org");
  EXPECT_EQ(ask("mailbox", "User+Ext@D.org"), "OK d.org/user/");
  EXPECT_EQ(ask("mailbox", "who@all.org"), "OK all/");
  EXPECT_EQ(ask("mailbox", "jane doe@d.org"), "OK jane/");
  EXPECT_EQ(ask("transport", "User+Ext@d.org"), "OK virtual:");
  EXPECT_EQ(ask("transport", "a@b.wild.org"), "OK relay:");
  EXPECT_EQ(ask("transport", "a@elsewhere.org"), "OK smtp:");
  EXPECT_EQ(ask("transport", "*"), "OK smtp:");
  EXPECT_EQ(ask("mailbox", "d.org"), "OK dummy");  // virtual_mailbox_domains = its own maps
}

TEST_F(Maps, HaveNothing) {
  for (const auto& [map, key] :
       std::vector<std::pair<std::string, std::string>>{{"virtual", "nobody@d.org"},
                                                        {"virtual", "d.org"},
                                                        {"virtual", ""},
                                                        {"virtual", "bad\xff@d.org"},
                                                        {"mailbox", "nobody@d.org"},
                                                        {"mailbox", "e.org"},
                                                        {"domain", "e.org"},
                                                        {"domain", "user@d.org"},
                                                        {"uid", "nobody@e.org"}}) {
    EXPECT_EQ(ask(map, key), "NOTFOUND") << map << " " << key;
  }
}

TEST_F(Maps, NeverTakeAFailureForNothing) {
  EXPECT_THAT(ask("virtual", "junk@d.org"), testing::StartsWith("TEMP alias <junk@d.org>"));
  EXPECT_THAT(ask("mailbox", "only@d.org"), testing::StartsWith("TEMP "));
  EXPECT_EQ(ask("nosuch", "user@d.org"), "PERM no map \"nosuch\"");
  for (FakeTable* table : {&alias_, &mailbox_, &transport_}) table->go_away();
  for (const char* map : {"virtual", "mailbox", "transport"}) {
    EXPECT_THAT(ask(map, "new@nowhere.org"), testing::StartsWith("TEMP ")) << map;
  }
  EXPECT_EQ(ask("virtual", "user@d.org"), "OK user@d.org");
  EXPECT_THAT(ask("domain", "e.org"), testing::StartsWith("TEMP "));
  for (FakeTable* table : {&alias_, &mailbox_, &uid_, &transport_}) table->fail();
  for (const char* map : {"virtual", "mailbox", "domain", "transport", "uid"}) {
    EXPECT_THAT(ask(map, map == std::string("domain") ? "d.org" : "user@d.org"),
                testing::StartsWith("TEMP "))
        << map;
  }
}

TEST_F(Maps, RefuseNobodyForAnOldAnswer) {
  transport_.add("closed@d.org", "error:5.2.1 closed");
  EXPECT_EQ(ask("transport", "closed@d.org"), "OK error:5.2.1 closed");
  transport_.go_away("closed@d.org");
  EXPECT_THAT(ask("transport", "closed@d.org"), testing::StartsWith("TEMP transport:"));
}

// Or mail for a domain that is ours since a moment ago would go to its MX.
TEST_F(Maps, RouteByNoRowForManyDomainsOnAnOldAnswer) {
  transport_.add("known.org", "lmtp:unix:Private/y");
  EXPECT_EQ(ask("transport", ".user@known.org"), "OK lmtp:unix:Private/y");
  transport_.go_away("*");
  transport_.go_away(".wild.org");
  EXPECT_EQ(ask("transport", "user@new.org"), "OK smtp:") << "the row itself may be old";
  EXPECT_EQ(ask("transport", "user@new.wild.org"), "OK relay:");
  for (const char* key : {"user@new.org", "new.wild.org", ".user@known.org"})
    transport_.go_away(key);
  EXPECT_THAT(ask("transport", "user@new.org"), testing::StartsWith("TEMP transport:"));
  EXPECT_THAT(ask("transport", "user@new.wild.org"), testing::StartsWith("TEMP transport:"));
  EXPECT_EQ(ask("transport", ".user@known.org"), "OK lmtp:unix:Private/y") << "its own domain's";
  transport_.go_away(".user@d.org");
  transport_.add(".user@d.org", "virtual:");
  EXPECT_EQ(ask("transport", ".user@d.org"), "OK virtual:") << "his own row";
}

}  // namespace
}  // namespace lmtpd::lookup
