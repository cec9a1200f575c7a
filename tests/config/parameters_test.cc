#include "lmtpd/base/config/parameters.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <filesystem>
#include <fstream>

#include "lmtpd/base/config/parameter_table.h"
#include "tests/config/memory_files.h"

namespace lmtpd {
namespace {

using test::load;
using test::load_both;
using test::load_own;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

std::string value(const Result<Parameters>& parameters, std::string_view name) {
  return parameters ? parameters->value(name) : "ERROR " + parameters.error().text;
}

std::string error(const Result<Parameters>& parameters) {
  return parameters ? "no error" : parameters.error().text;
}

TEST(Parameters, LeavesDefaultsWhereNothingIsSet) {
  const auto all = load_own("");
  EXPECT_EQ(value(all, "recipient_delimiter"), "+");
  EXPECT_EQ(value(all, "virtual_alias_maps"), "");
  EXPECT_EQ(value(all, "myhostname"), "mx.example.org");
  EXPECT_EQ(value(all, "mydomain"), "example.org");
  EXPECT_EQ(value(all, "myorigin"), "mx.example.org");
  EXPECT_EQ(value(all, "mydestination"), "mx.example.org, localhost.example.org, localhost");
  EXPECT_EQ(value(all, "append_dot_mydomain"), "no");
  EXPECT_EQ(all->origin("myorigin"), test::kOwnFile);
  EXPECT_EQ(all->changed(), "");
}

TEST(Parameters, MakesTheHostNameAsPostfixDoes) {
  const auto named = [](const std::string& own, const std::string& host) {
    const auto all = load({{test::kOwnFile, own}}, host);
    return value(all, "myhostname") + " " + value(all, "mydomain");
  };
  EXPECT_EQ(named("", "mx"), "mx.localdomain localdomain");
  EXPECT_EQ(named("mydomain = a.org", "mx"), "mx.a.org a.org");
  EXPECT_EQ(named("mydomain = a.org", "mx.b.org"), "mx.b.org a.org");
  EXPECT_EQ(named("myhostname = m.c.org", "mx.b.org"), "m.c.org c.org");
  EXPECT_EQ(named("myhostname = m", "mx.b.org"), "m localdomain");
  EXPECT_EQ(named("myhostname = m.$mydomain\nmydomain = d.org", "x"), "m.d.org d.org");
  EXPECT_THAT(named("myhostname = m.$mydomain", "x"), HasSubstr("refers to itself"));
  EXPECT_THAT(named("myhostname =", "x"), HasSubstr("must not be empty"));
}

TEST(Parameters, OwnFileWinsOverMainCfWinsOverDefaults) {
  const auto all =
      load_both("virtual_minimum_uid = 500\nhopcount_limit = 7\n", "hopcount_limit = 8");
  EXPECT_EQ(value(all, "virtual_minimum_uid"), "500");
  EXPECT_EQ(value(all, "hopcount_limit"), "8");
  EXPECT_EQ(value(all, "message_size_limit"), "0") << "Postfix's default is not ours";
  EXPECT_EQ(all->origin("virtual_minimum_uid"), "/etc/postfix/main.cf:1");
  EXPECT_EQ(all->origin("hopcount_limit"), "/etc/lmtpd/lmtpd.cf:2");
}

TEST(Parameters, ExpandsMainCfWithItsOwnValuesAndPostfixsDefaults) {
  const auto all = load_both(
      "mydomain = main.org\n"
      "virtual_mailbox_base = $mail_spool_directory/$mydomain\n"
      "virtual_maps = $db:$config_directory/virtual.cf\n"
      "db = proxy:pgsql\n"
      "transport_maps = $default_database_type:/x$recipient_delimiter\n",
      "mydomain = own.org\n");
  EXPECT_EQ(value(all, "virtual_mailbox_base"), "/var/mail/main.org");
  EXPECT_EQ(value(all, "virtual_alias_maps"), "proxy:pgsql:/etc/postfix/virtual.cf");
  EXPECT_EQ(value(all, "transport_maps"), "hash:/x");
  EXPECT_EQ(value(all, "mydomain"), "own.org");
}

TEST(Parameters, OwnValuesMayReferToMainCfs) {
  EXPECT_EQ(value(load_both("db = pgsql:$config_directory\n", "virtual_uid_maps = $db/uids.cf\n"),
                  "virtual_uid_maps"),
            "pgsql:/etc/postfix/uids.cf");
  EXPECT_EQ(value(load_both("x = a$$b\n", "virtual_mailbox_base = /$x\n"), "virtual_mailbox_base"),
            "/a$b")
      << "a value is expanded once";
}

TEST(Parameters, TheCompatibilityLevelIsMainCfs) {
  EXPECT_EQ(value(load_both(""), "append_dot_mydomain"), "yes") << "as Postfix has it";
  EXPECT_EQ(value(load_both("compatibility_level = 3.6"), "append_dot_mydomain"), "no");
}

TEST(Parameters, UnknownOnesOfMainCfAreNoError) {
  const auto all = load_both("smtpd_tls_cert_file = /x\nmynetworks = 127.0.0.0/8\nodd = $nosuch\n");
  EXPECT_TRUE(all) << error(all);
  EXPECT_EQ(all->changed(), "postfix_config_directory = /etc/postfix\n");
}

TEST(Parameters, OnesOfOursAreNotTakenFromMainCf) {
  EXPECT_EQ(value(load_both("cache_ttl = 1s\nlisten = junk\n"), "cache_ttl"), "300s");
}

TEST(Parameters, UnknownOnesAreErrorsUnlessAValueRefersToThem) {
  EXPECT_EQ(
      error(load_own("\nvirtual_mailbox_bas = /x\n")),
      "/etc/lmtpd/lmtpd.cf:2: virtual_mailbox_bas: unknown parameter, and no value refers to it");
  EXPECT_EQ(
      value(load_own("root = /x\nvirtual_mailbox_base = ${root}/y\n"), "virtual_mailbox_base"),
      "/x/y");
  EXPECT_TRUE(load_own("root = /x\nvirtual_mailbox_base = ${nosuch?$root}/y\n"));
  for (const char* later : {"tls_dh_file", "auth_tables", "metrics_listen", "commit_slow",
                            "smtpd_tls_cert_file", "mynetworks"}) {
    EXPECT_THAT(error(load_own(std::string(later) + " = 1\n")), HasSubstr("unknown parameter"))
        << later;
  }
}

TEST(Parameters, NamesFileLineAndParameterOfEveryError) {
  EXPECT_EQ(error(load_own("virtual_mailbox_base = $nosuch\nlisten = ${x\nbogus = 1\n")),
            "/etc/lmtpd/lmtpd.cf:3: bogus: unknown parameter, and no value refers to it\n"
            "/etc/lmtpd/lmtpd.cf:1: virtual_mailbox_base: $nosuch is not defined\n"
            "/etc/lmtpd/lmtpd.cf:2: listen: \"${x\" is not closed");
  EXPECT_EQ(error(load_both("# c\nvirtual_uid_maps = $nosuch\n")),
            "/etc/postfix/main.cf:2: virtual_uid_maps: $nosuch is not defined");
  EXPECT_EQ(error(load_both("broken\n")), "/etc/postfix/main.cf:1: missing \"=\" after \"broken\"");
}

TEST(Parameters, AValueOfMainCfThatIsOverruledNeedsNotMakeSense) {
  EXPECT_TRUE(load_both("virtual_uid_maps = $nosuch\n", "virtual_uid_maps = static:1\n"));
}

TEST(Parameters, DetectsRecursion) {
  EXPECT_THAT(error(load_own("virtual_maps = $virtual_alias_maps\n")),
              HasSubstr("virtual_maps: refers to itself: $virtual_"));
  EXPECT_THAT(error(load_own("a = $b\nb = $c\nc = $a\nlisten = $a\n")),
              HasSubstr("listen: refers to itself: $listen -> $a -> $b -> $c -> $a"));
  EXPECT_THAT(error(load_both("virtual_uid_maps = ${x}\nx = $x\n")), HasSubstr("refers to itself"));
}

TEST(Parameters, BoundsChainsAndGrowth) {
  std::string chain = "listen = $p0\n";
  std::string growth = "listen = $p0\n";
  for (int i = 0; i < 200; ++i) {
    const std::string next = "$p" + std::to_string(i + 1);
    chain += "p" + std::to_string(i) + " = " + next + "\n";
    if (i < 40) growth += "p" + std::to_string(i) + " = " + next + next + "\n";
  }
  EXPECT_THAT(error(load_own(chain + "p200 = x\n")), HasSubstr("levels deep"));
  EXPECT_THAT(error(load_own(growth + "p40 = xxxxxxxx\n")), HasSubstr("octets when expanded"));
}

TEST(Parameters, ReadsAnOriginWithASlashFromThatFile) {
  const test::Files files = {{test::kOwnFile, "postfix_config_directory = /etc/postfix\n"},
                             {test::kMainFile, "myorigin = /etc/mailname\n"},
                             {"/etc/mailname", " mail.example.net \nrest\n"}};
  EXPECT_EQ(value(load(files), "myorigin"), "mail.example.net");
  EXPECT_THAT(error(load_both("myorigin = /etc/mailname\n")),
              HasSubstr("main.cf:1: myorigin: /etc/mailname: No such file"));
}

TEST(Parameters, SaysWhichFileIsMissing) {
  EXPECT_THAT(error(load({})), HasSubstr("/etc/lmtpd/lmtpd.cf: No such file"));
  EXPECT_THAT(error(load_own("postfix_config_directory = /nowhere\n")),
              HasSubstr("/nowhere/main.cf: No such file"));
  EXPECT_THAT(error(load_own("postfix_config_directory = postfix\n")),
              HasSubstr("postfix_config_directory: must be an absolute path"));
}

TEST(Parameters, WarnsOfRepeatedNamesInEitherFile) {
  const auto all =
      load_both("mydomain = a.org\nmydomain = b.org\n", "listen = unix:a\nlisten = unix:b\n");
  ASSERT_TRUE(all) << error(all);
  EXPECT_THAT(all->warnings(), ElementsAre(HasSubstr("lmtpd.cf:3: listen: overrides"),
                                           HasSubstr("main.cf:2: mydomain: overrides")));
}

TEST(Parameters, PrintsOnlyWhatDiffersFromTheDefaults) {
  const auto all =
      load_both("virtual_maps = hash:/a$$b\nrecipient_delimiter = +\nmydomain = example.org",
                "cache_ttl = 300s\ncache_size =\nmyorigin = $mydomain\n");
  ASSERT_TRUE(all) << error(all);
  EXPECT_EQ(all->changed(),
            "cache_size =\n"
            "myorigin = example.org\n"
            "postfix_config_directory = /etc/postfix\n"
            "virtual_maps = hash:/a$$b\n");
}

TEST(Parameters, WhatIsPrintedReadsBackTheSame) {
  const auto all =
      load_both("virtual_maps = hash:/a$$b\nmydomain = a.org\n", "listen = inet:*:24\n");
  ASSERT_TRUE(all);
  const auto again = load({{test::kOwnFile, all->changed()}, {test::kMainFile, ""}});
  ASSERT_TRUE(again) << error(again);
  EXPECT_EQ(again->changed(), all->changed());
}

TEST(Parameters, CrossAChannelWhole) {
  const auto all = load_both("virtual_maps = hash:/a\n", "listen = inet:*:24\n");
  ASSERT_TRUE(all);
  const auto received = Parameters::deserialise(all->serialise());
  ASSERT_TRUE(received) << error(received);
  for (const ParameterInfo& row : kParameters) {
    EXPECT_EQ(received->value(row.name), all->value(row.name)) << row.name;
    EXPECT_EQ(received->origin(row.name), all->origin(row.name)) << row.name;
  }
  EXPECT_EQ(received->changed(), all->changed());
}

TEST(Parameters, RefuseWhatIsNotTheirs) {
  const std::string good = load_own("")->serialise();
  EXPECT_FALSE(Parameters::deserialise(""));
  EXPECT_FALSE(Parameters::deserialise(good + "x"));
  for (std::size_t cut = 0; cut < good.size(); cut += 7) {
    EXPECT_FALSE(Parameters::deserialise(std::string_view(good).substr(0, cut)));
  }
  std::string renamed = good;
  renamed.replace(renamed.find("cache_ttl"), 9, "cache_xxx");
  EXPECT_FALSE(Parameters::deserialise(renamed));
}

TEST(Parameters, ReadFilesFromTheDisk) {
  const std::filesystem::path folder = std::filesystem::path(testing::TempDir()) /
                                       ("lmtpd-parameters-" + std::to_string(::getpid()));
  std::filesystem::create_directory(folder);
  const std::string path = folder / "lmtpd.cf";
  std::ofstream(path) << "mydomain = disk.org\n";
  EXPECT_EQ(value(Parameters::load(path), "mydomain"), "disk.org");
  EXPECT_THAT(error(Parameters::load(folder)), HasSubstr("not a plain file"));
  EXPECT_THAT(error(Parameters::load(folder / "none")), HasSubstr("No such file"));
  std::filesystem::remove_all(folder);
}

TEST(ParameterTable, HasEachNameOnceAndASentenceForIt) {
  for (const ParameterInfo& row : kParameters) {
    EXPECT_EQ(find_parameter(row.name), &row) << row.name;
    EXPECT_THAT(row.description, testing::EndsWith(".")) << row.name;
  }
  EXPECT_EQ(find_parameter("nosuch"), nullptr);
}

}  // namespace
}  // namespace lmtpd
