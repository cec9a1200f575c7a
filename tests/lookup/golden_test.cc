// golden/cases.tsv and more.tsv (golden/README.md): the resolver with the rows of their fixtures.

#include <gtest/gtest.h>
#include <sqlite3.h>

#include <cctype>
#include <fstream>
#include <memory>
#include <random>
#include <sstream>

#include "lmtpd/base/address.h"
#include "lookup/resolver.h"
#include "tests/lookup/fake_table.h"

namespace lmtpd::lookup {
namespace {

std::string file_text(const std::string& name) {
  std::ifstream in(std::string(LMTPD_GOLDEN_FOLDER) + "/" + name);
  std::stringstream text;
  text << in.rdbuf();
  EXPECT_FALSE(text.str().empty()) << name;
  return text.str();
}

void replace_all(std::string& text, const std::string& what, const std::string& with) {
  for (std::size_t at = 0; (at = text.find(what, at)) != std::string::npos; at += with.size()) {
    text.replace(at, what.size(), with);
  }
}

std::vector<std::string> split(const std::string& text, const std::string& separator) {
  std::vector<std::string> parts;
  std::size_t from = 0;
  for (std::size_t at = 0; (at = text.find(separator, from)) != std::string::npos;) {
    parts.push_back(text.substr(from, at - from));
    from = at + separator.size();
  }
  parts.push_back(text.substr(from));
  return parts;
}

// repeat(text, count), which PostgreSQL has and SQLite lacks.
void repeat(sqlite3_context* context, int, sqlite3_value** arguments) {
  const std::string text(reinterpret_cast<const char*>(sqlite3_value_text(arguments[0])));
  std::string repeated;
  for (int i = sqlite3_value_int(arguments[1]); i > 0; --i) repeated += text;
  sqlite3_result_text(context, repeated.c_str(), -1, SQLITE_TRANSIENT);
}

class Fixture {
 public:
  Fixture() {
    EXPECT_EQ(sqlite3_open(":memory:", &database_), SQLITE_OK);
    sqlite3_create_function(database_, "repeat", 2, SQLITE_UTF8, nullptr, repeat, nullptr, nullptr);
    std::string sql = file_text("fixture.sql") + file_text("more.sql");
    replace_all(sql, "E'user@domain.org\\nuser2@domain.org'",
                "'user@domain.org\nuser2@domain.org'");
    char* error = nullptr;
    EXPECT_EQ(sqlite3_exec(database_, sql.c_str(), nullptr, nullptr, &error), SQLITE_OK) << error;
  }
  ~Fixture() { sqlite3_close(database_); }

  // Rows whose value is NULL or empty count as absent.
  std::unique_ptr<FakeTable> table(const std::string& key, const std::string& value,
                                   const std::string& from) const {
    auto made = std::make_unique<FakeTable>("golden:" + from);
    const std::string sql = "SELECT " + key + ", " + value + " FROM " + from;
    sqlite3_stmt* statement = nullptr;
    EXPECT_EQ(sqlite3_prepare_v2(database_, sql.c_str(), -1, &statement, nullptr), SQLITE_OK)
        << sql;
    while (sqlite3_step(statement) == SQLITE_ROW) {
      const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(statement, 1));
      if (text == nullptr || *text == '\0') continue;
      made->add(reinterpret_cast<const char*>(sqlite3_column_text(statement, 0)), text);
    }
    sqlite3_finalize(statement);
    return made;
  }

 private:
  sqlite3* database_ = nullptr;
};

// `x{64}` repeats, `\xNN` is an octet.
std::string unescape(const std::string& text) {
  std::string out;
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (text[at] == '{' && !out.empty()) {
      const std::size_t count = std::stoul(text.substr(at + 1));
      out.append(count - 1, out.back());
      at = text.find('}', at);
    } else if (text.compare(at, 2, "\\x") == 0) {
      out += static_cast<char>(std::stoi(text.substr(at + 2, 2), nullptr, 16));
      at += 3;
    } else {
      out += text[at];
    }
  }
  return out;
}

struct Case {
  std::string id;
  std::string delimiters;
  std::string recipient;
  std::string failure;
  std::string expected;
  std::string delivered_to;
};

void PrintTo(const Case& tested, std::ostream* out) {  // NOLINT: GoogleTest's name
  *out << tested.id << " <" << tested.recipient << "> with '" << tested.delimiters << "'";
}

void add_cases(const std::string& file, std::vector<Case>& cases) {
  std::istringstream lines(file_text(file));
  std::string line;
  std::getline(lines, line);
  while (std::getline(lines, line)) {
    const std::vector<std::string> columns = split(line, "\t");
    if (columns.at(3) == "n/a") continue;
    std::string recipient = columns.at(2);
    std::string failure;
    if (const std::size_t comma = recipient.find(", "); comma != std::string::npos) {
      failure = recipient.substr(comma + 2);
      recipient.resize(comma);
    }
    if (failure.find(" = ") != std::string::npos) continue;  // parameters: tests/system's matter
    for (const std::string suffix : {" SMTPUTF8", " (no SMTPUTF8)"}) {
      if (recipient.ends_with(suffix)) recipient.resize(recipient.size() - suffix.size());
    }
    const std::vector<std::string> delimiters =
        columns[1] == "any" ? std::vector<std::string>{"", "+", "+-"}
                            : std::vector<std::string>{columns[1] == "''" ? "" : columns[1]};
    for (const std::string& delimiter : delimiters) {
      cases.push_back({columns[0], delimiter, unescape(recipient), failure, columns.at(4),
                       unescape(columns.at(5))});
    }
  }
}

std::vector<Case> golden_cases() {
  std::vector<Case> cases;
  add_cases("cases.tsv", cases);
  add_cases("more.tsv", cases);
  return cases;
}

// The reply to RCPT, as the session gives it.
std::string reply(const Error& error) {
  switch (error.reason) {
    case Reason::unknown_user:
      return "550 5.1.1";
    case Reason::bad_address:
      return "553 5.1.3";
    case Reason::bad_utf8:
      return "553 5.6.7";
    case Reason::lookup_failed:
      return "451 4.3.0";
    case Reason::alias_limit:
      return "451 4.6.0";
    case Reason::bad_mailbox:
    case Reason::remote_target:
      return "451 4.3.5";
    case Reason::transport_error:
      return "550 " + error.text.substr(0, error.text.find(' '));
    case Reason::transport_retry:
      return "451 " + error.text.substr(0, error.text.find(' '));
    default:
      return "no reply of lookup's: " + error.text;
  }
}

std::string shown(const Resolution& resolution) {
  if (!resolution.mailboxes) return reply(resolution.mailboxes.error());
  std::string text;
  for (const ResolvedMailbox& mailbox : *resolution.mailboxes) {
    if (!text.empty()) text += " ; ";
    text += "/home/" + mailbox.path.value() + "/ " + std::to_string(mailbox.owner.uid.value()) +
            ":" + std::to_string(mailbox.owner.gid.value());
  }
  return text;
}

// Among several the recipient's own domain is left out.
std::string shown_delivered_to(const Resolution& resolution, const std::string& recipient) {
  std::string text;
  if (!resolution.mailboxes) return text;
  const std::string domain = recipient.substr(recipient.rfind('@') + 1);
  for (const ResolvedMailbox& mailbox : *resolution.mailboxes) {
    if (!text.empty()) text += " / ";
    text += mailbox.delivered_to;
    if (resolution.mailboxes->size() > 1 && text.ends_with("@" + domain)) {
      text.resize(text.size() - domain.size());
    }
  }
  return text;
}

class Golden : public testing::TestWithParam<Case>, public Resolver::Client {
 protected:
  Golden() {
    const Fixture fixture;
    alias_ = fixture.table("address", "userid", "postfix_virtual");
    mailbox_ = fixture.table("userid", "mailbox", "postfix_mailboxes");
    uid_ = fixture.table("userid", "uid", "users");
    gid_ = fixture.table("userid", "gid", "users");
    transport_ = fixture.table("domain", "transport", "transport");
    const std::string& failure = GetParam().failure;
    if (failure == "SQL error on postfix_virtual") alias_->fail();
    if (failure == "SQL error on postfix_mailboxes") mailbox_->fail();
    if (failure == "SQL error on transport") transport_->fail();
    if (failure == "uid query returns 2 rows") uid_->add("user@foo.org", "1002");
  }

  [[nodiscard]] ResolverSettings settings() const {
    ResolverSettings settings;
    settings.virtual_alias_maps = {alias_.get()};
    settings.virtual_mailbox_maps = {mailbox_.get()};
    settings.virtual_uid_maps = {uid_.get()};
    settings.virtual_gid_maps = {gid_.get()};
    settings.transport_maps = {transport_.get()};
    settings.transport_errors = true;
    settings.virtual_mailbox_domains = {{false, "", mailbox_.get()}};
    settings.local_domains = {{false, "mx.host.test", nullptr}, {false, "host.test", nullptr}};
    settings.extension.delimiters = GetParam().delimiters;
    settings.rewrite.origin = "mx.host.test";
    settings.alias_expansion = AliasExpansion::full;
    return settings;
  }
  void answer_in(Rounds* rounds) {
    for (auto* table : {&alias_, &mailbox_, &uid_, &gid_, &transport_}) (*table)->answer_in(rounds);
  }

  void on_outcome(std::uint64_t, const Resolution& resolution) override { later_ = resolution; }

  // With the answers as `play` lets them come; all at once without.
  Resolution resolve(const std::function<void(Rounds&)>& play = {}) {
    Rounds rounds;
    if (play) answer_in(&rounds);
    const Result<Address> address = Address::parse(GetParam().recipient);
    if (!address) return {tl::unexpected(address.error()), {}};
    Resolver resolver(settings());
    later_.reset();
    std::optional<Resolution> now = resolver.resolve(*address, *this, 1);
    if (play) play(rounds);
    EXPECT_EQ(resolver.under_way(), 0U);
    answer_in(nullptr);
    if (!now) now = later_;
    EXPECT_TRUE(now);
    return now ? *now : Resolution{fail(Reason::io, "never answered"), {}};
  }

  std::unique_ptr<FakeTable> alias_, mailbox_, uid_, gid_, transport_;
  std::optional<Resolution> later_;
};

TEST_P(Golden, ResolvesAsMeasured) {
  std::string expected = GetParam().expected;
  while (expected.find("//") != std::string::npos) replace_all(expected, "//", "/");
  const Resolution resolution = resolve();
  EXPECT_EQ(shown(resolution), expected)
      << (resolution.mailboxes ? "" : resolution.mailboxes.error().text);
  EXPECT_EQ(shown_delivered_to(resolution, GetParam().recipient), GetParam().delivered_to);
}

TEST_P(Golden, IsTheSameInWhateverOrderAnswersCome) {
  const Resolution at_once = resolve();
  std::mt19937 random(1);
  for (int i = 0; i < 5; ++i) {
    for (const auto& later : {resolve([&](Rounds& rounds) { rounds.play_one_by_one(random); }),
                              resolve([&](Rounds& rounds) {
                                rounds.shuffle_with(random);
                                rounds.play_all();
                              })}) {
      EXPECT_EQ(shown(later), shown(at_once));
      EXPECT_EQ(shown_delivered_to(later, ""), shown_delivered_to(at_once, ""));
      EXPECT_EQ(later.notes, at_once.notes);
    }
  }
}

std::string name_of(const testing::TestParamInfo<Case>& tested) {
  std::string name;
  for (const char c : tested.param.id) name += std::isalnum(c) != 0 ? c : '_';
  for (const char c : tested.param.delimiters) name += c == '+' ? "plus" : "minus";
  return name;
}

INSTANTIATE_TEST_SUITE_P(Cases, Golden, testing::ValuesIn(golden_cases()), name_of);

}  // namespace
}  // namespace lmtpd::lookup
