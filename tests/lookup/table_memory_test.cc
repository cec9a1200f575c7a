// static:, inline:, texthash:, and which references are tables at all.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/stat.h>

#include <cstdlib>
#include <fstream>

#include "lookup/files/match_list.h"
#include "lookup/files/table_files.h"
#include "tests/lookup/asking.h"

namespace lmtpd::lookup {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class MemoryTables : public Asking {};

TEST_F(MemoryTables, StaticAnswersEveryKeyWithItsValue) {
  EXPECT_EQ(ask(*table("static:1001"), "user@domain.org"), found({"1001"}));
  EXPECT_EQ(ask(*table("static:{a b, c}"), ""), found({"a b, c"}));
  EXPECT_EQ(table("proxy:static:8")->name(), "static:8");
  EXPECT_EQ(refusal("static:{}"), "static:{}: needs a value in UTF-8 behind the colon");
  EXPECT_THAT(refusal("static:\xff"), HasSubstr("UTF-8"));
}

TEST_F(MemoryTables, InlineHoldsPairsAndBracedPairs) {
  const auto t = table("inline:{User@D=x/, {b@d = y z, w}\n {c@d={q}}, c@d=last}");
  EXPECT_EQ(ask(*t, "user@d"), found({"x/"}));
  EXPECT_EQ(ask(*t, "b@d"), found({"y z, w"}));
  EXPECT_EQ(ask(*t, "c@d"), found({"last"}));
  EXPECT_EQ(ask(*t, "d@d"), Answer(Absent{}));
}

TEST_F(MemoryTables, InlineRefusesOtherSyntax) {
  for (const auto* bad :
       {"inline:{}", "inline:a=b", "inline:{a=b", "inline:{a=b}}", "inline:{a}", "inline:{=b}",
        "inline:{a=}", "inline:{{a b}}", "inline:{a=\xff}", "inline:{a=b} {c=d}"}) {
    EXPECT_THAT(refusal(bad), HasSubstr("it is written inline:{key=value, {key = text}}")) << bad;
  }
}

TEST_F(MemoryTables, TexthashReadsPostmapsFormat) {
  write("/m",
        "# c\nUser@Domain.ORG  domain.org/user/ \nMÜLLER@d\tmueller/\n"
        "long@d one,\n  two\n\"John Doe\"@d  john/\nabuse a@d\n");
  const auto t = table("texthash:/m");
  EXPECT_EQ(ask(*t, "user@domain.org"), found({"domain.org/user/"}));
  EXPECT_EQ(ask(*t, "müller@d"), found({"mueller/"}));
  EXPECT_EQ(ask(*t, "long@d"), found({"one,  two"}));
  EXPECT_EQ(ask(*t, "\"john doe\"@d"), found({"john/"}));
  EXPECT_EQ(ask(*t, "nobody@d"), Answer(Absent{}));
}

TEST_F(MemoryTables, TexthashWarnsOfLinesItPassesOver) {
  write("/m", "a 1\nA 2\nnovalue\nb: 3\n\"c 4\n\xff 5\n");
  testing::internal::CaptureStderr();
  const auto t = table("hash:/m");
  const std::string log = testing::internal::GetCapturedStderr();
  EXPECT_EQ(ask(*t, "a"), found({"1"}));
  EXPECT_THAT(log, HasSubstr("warning: /m:2: duplicate key, ignored"));
  EXPECT_THAT(log, HasSubstr("warning: /m:3: expected `key white-space value`, ignored"));
  EXPECT_THAT(log, HasSubstr("warning: /m:4: key ends in a colon"));
  EXPECT_THAT(log, HasSubstr("warning: /m:5: unbalanced double quote, ignored"));
  EXPECT_THAT(log, HasSubstr("warning: /m:6: not valid UTF-8, ignored"));
}

TEST_F(MemoryTables, SourceFilesStandForTheirDatabases) {
  write("/m", "a 1\n");
  for (const auto* reference : {"hash:/m", "btree:/m", "lmdb:/m", "cdb:/m", "proxy:hash:/m"}) {
    EXPECT_EQ(ask(*table(reference), "a"), found({"1"})) << reference;
  }
}

TEST_F(MemoryTables, AFileThatIsGoneIsNamed) {
  EXPECT_EQ(refusal("texthash:/gone"), "/gone: no such file");
}

MatchList list(std::string_view text) { return parse_match_list(text).value(); }

TEST(ListFiles, AreReadInTheirPlace) {
  const FileReader files = [](const std::string& path) -> Result<std::string> {
    if (path == "/list") return "# c\nb.org, !c.org\n  d.org\n/more\n";
    if (path == "/more") return "texthash:/t\n";
    if (path == "/self") return "/self";
    if (path == "/bad") return "a.org\nldap:/x";
    return fail(Reason::lookup_failed, path + ": no such file");
  };
  EXPECT_EQ(with_files_read(list("a.org, !/list"), files).value(),
            list("a.org !b.org c.org !d.org !texthash:/t"));
  EXPECT_EQ(with_files_read(list("/gone"), files).error().text, "/gone: no such file");
  EXPECT_THAT(with_files_read(list("/self"), files).error().text, HasSubstr("name one another"));
  EXPECT_THAT(with_files_read(list("/bad"), files).error().text, HasSubstr("/bad:2: ldap:/x"));
}

TEST(FilesOf, AreThoseThatMakingTheTablesReads) {
  const FileReader files = [](const std::string& path) -> Result<std::string> {
    if (path == "/p.cf") return "hosts = h\ndomain = a.org /list proxy:sqlite:/s.cf hash:/h\n";
    if (path == "/list") return "b.org static:x texthash:/t";
    if (path == "/s.cf") return "dbpath = /db\ndomain = pgsql:/p.cf";
    return fail(Reason::lookup_failed, path + ": no such file");
  };
  EXPECT_THAT(files_of(list("proxy:pgsql:/p.cf"), files).value(),
              ElementsAre("/h", "/list", "/p.cf", "/s.cf", "/t"));
  EXPECT_THAT(files_of(list("/list d.org"), files).value(), ElementsAre("/list", "/t"));
  EXPECT_THAT(files_of(list("static:x"), files).value(), IsEmpty());
  EXPECT_EQ(files_of(list("pgsql:/gone.cf"), files).error().text, "/gone.cf: no such file");
}

TableRef table_ref(std::string_view text) { return parse_table_ref(text).value(); }

TEST(StaleDatabase, IsOlderThanItsSource) {
  std::string folder = testing::TempDir() + "stale-XXXXXX";
  ASSERT_NE(mkdtemp(folder.data()), nullptr);
  const std::string source = folder + "/virtual";
  const auto made_at = [](const std::string& path, time_t when) {
    std::ofstream(path) << "a b\n";
    const timespec times[2] = {{when, 0}, {when, 0}};
    EXPECT_EQ(utimensat(AT_FDCWD, path.c_str(), times, 0), 0);
  };
  made_at(source, 2000);
  EXPECT_EQ(stale_database(table_ref("hash:" + source)), std::nullopt);
  made_at(source + ".db", 1000);
  made_at(source + ".lmdb", 2000);
  EXPECT_EQ(stale_database(table_ref("proxy:hash:" + source)),
            source + " is newer than " + source +
                ".db: Postfix answers from the older one until postmap is run");
  EXPECT_EQ(stale_database(table_ref("lmdb:" + source)), std::nullopt);
  EXPECT_EQ(stale_database(table_ref("texthash:" + source)), std::nullopt);
}

}  // namespace
}  // namespace lmtpd::lookup
