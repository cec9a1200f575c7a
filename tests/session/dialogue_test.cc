// Runs every dialogue three times: each command when its turn comes, octet by octet, and with all
// that the client says offered at once. The replies must be the same.
#include "tests/session/dialogue.h"

#include <gtest/gtest.h>

#include <charconv>
#include <cstdlib>
#include <map>
#include <sstream>

#include "tests/session/client.h"
#include "tests/session/enhanced_codes.h"
#include "tests/session/reference_data.h"

namespace lmtpd::session {
namespace {

enum class Manner { stepwise, bytewise, pipelined };

const std::map<std::string, Reason> kReasons{
    {"unknown_user", Reason::unknown_user},
    {"bad_address", Reason::bad_address},
    {"bad_utf8", Reason::bad_utf8},
    {"lookup_failed", Reason::lookup_failed},
    {"alias_limit", Reason::alias_limit},
    {"bad_mailbox", Reason::bad_mailbox},
    {"remote_target", Reason::remote_target},
    {"transport_error", Reason::transport_error},
    {"transport_retry", Reason::transport_retry},
    {"no_access", Reason::no_access},
    {"no_space", Reason::no_space},
    {"over_quota", Reason::over_quota},
    {"io", Reason::io},
    {"overload", Reason::overload},
};

const std::map<std::string, AuthStep::Kind> kAuthSteps{
    {"challenge", AuthStep::Kind::challenge},
    {"accepted", AuthStep::Kind::accepted},
    {"refused", AuthStep::Kind::refused},
    {"unavailable", AuthStep::Kind::unavailable},
};

struct Case {
  Dialogue dialogue;
  Manner manner;
};

// Named in a failure instead of its bytes.
void PrintTo(const Case& value, std::ostream* out) { *out << value.dialogue.title; }

class Performance {
 public:
  Performance(const Dialogue& dialogue, Manner manner) : dialogue_(dialogue), manner_(manner) {
    settings_.hostname = "mx.test";
    settings_.size_announced = 10000;
  }

  void run() {
    for (const DialogueLine& line : dialogue_.lines) {
      SCOPED_TRACE(dialogue_.file + ":" + std::to_string(line.number) + ": " + line.text);
      perform(line.text);
      if (::testing::Test::HasFatalFailure()) return;
    }
    expect_whole_message();
    begin();
    while (backend_.answer_next(*session_)) client_->push();
    EXPECT_EQ(client_->read_line(), std::nullopt) << "a reply that nobody expects";
    EXPECT_EQ(backend_.breaches(), std::vector<std::string>());
    if (!session_->closing()) {
      EXPECT_EQ(client_->unsent(), 0U);
    }
  }

 private:
  void begin() {
    if (session_) return;
    session_.emplace(settings_, "S1", peer_, backend_);
    if (encrypted_) session_->on_tls({"TLSv1.3", "TLS_AES_256_GCM_SHA384", 256, 256});
    client_.emplace(*session_, backend_, manner_ == Manner::bytewise ? 1 : SIZE_MAX);
    if (manner_ != Manner::pipelined) return;
    std::string all;
    for (const DialogueLine& line : dialogue_.lines) all += said(line.text);
    client_->send(all);
  }

  // How often a line is to be taken: "S[3]: ..." three times.
  static std::size_t times(std::string_view text) {
    std::size_t count = 1;
    if (text.size() > 1 && text[1] == '[')
      std::from_chars(text.data() + 2, text.data() + text.size(), count);
    return count;
  }

  static std::string_view behind_colon(std::string_view text) {
    const std::size_t colon = text.find(':');
    return text.substr(std::min(text.size(), colon + 2));
  }

  static std::string said(std::string_view text) {
    std::string out;
    if (text.starts_with("c: ")) out = unescaped(behind_colon(text));
    if (text.starts_with("C: ") || text == "C:" || text.starts_with("C[")) {
      for (std::size_t i = 0; i < times(text); ++i) out += unescaped(behind_colon(text)) + "\r\n";
    }
    return out;
  }

  void perform(const std::string& text) {
    if (text[0] == 'C' || text[0] == 'c') {
      if (text == "closed") return expect_closed();
      begin();
      if (manner_ != Manner::pipelined) client_->send(said(text));
    } else if (text[0] == 'S') {
      begin();
      expect_replies(text);
    } else if (text.starts_with("|$")) {
      EXPECT_EQ(std::exchange(rest_, {}), unescaped(text.substr(3)));
    } else if (text[0] == '|') {
      expect_line(text.size() > 2 ? unescaped(text.substr(2)) : "");
    } else {
      direct(text);
    }
  }

  void direct(const std::string& text) {
    std::istringstream words(text);
    std::string what;
    words >> what;
    if (what == "wait") {
      unsigned milliseconds = 0;
      words >> milliseconds;
      begin();
      backend_.advance(ScriptedBackend::Duration(milliseconds));
      backend_.answer_due(*session_);
      if (backend_.now() >= session_->deadline()) session_->on_deadline();
    } else if (what == "stop") {
      begin();
      session_->shut_down();
    } else if (what == "tls") {
      std::string how;
      words >> how;
      begin_tls(how);
    } else if (what == "stored") {
      expect_whole_message();
      compared_ = false;
      std::string path;
      words >> path;
      ASSERT_LT(stored_, backend_.stored.size()) << "nothing more was stored";
      const ScriptedBackend::Stored& copy = backend_.stored[stored_++];
      EXPECT_EQ(copy.path, path);
      EXPECT_EQ(copy.wire_size, wire_size(copy.content));  // D11
      rest_ = copy.content;
      std::string part;
      if (words >> part) skip_trace(part);
    } else if (what == "heard") {
      ASSERT_LT(heard_, backend_.auth_messages.size()) << "nothing more was heard";
      EXPECT_EQ(backend_.auth_messages[heard_++], unescaped(text.substr(6)));
    } else if (what == "nothing") {
      EXPECT_EQ(backend_.stored.size(), stored_);
    } else if (what == "log") {
      const std::string part = text.substr(4);
      EXPECT_TRUE(std::ranges::any_of(
          backend_.log_lines,
          [&](const std::string& line) { return line.find(part) != std::string::npos; }))
          << "not in the log:\n"
          << ::testing::PrintToString(backend_.log_lines);
    } else if (what == "counted") {
      std::string name;
      std::uint64_t number = 0;
      words >> name >> number;
      const auto* const row = std::ranges::find(kCounterNames, name, &CounterName::name);
      ASSERT_NE(row, kCounterNames.end()) << name;
      EXPECT_EQ(backend_.counted[row->counter], number);
    } else if (what == "last") {
      ASSERT_FALSE(backend_.log_lines.empty());
      const std::string part = text.substr(std::string("last log ").size());
      EXPECT_TRUE(backend_.log_lines.back().ends_with(part))
          << "the last line: " << backend_.log_lines.back();
    } else {
      ASSERT_FALSE(session_) << "the script comes before the first command";
      script(what, words);
    }
  }

  void begin_tls(const std::string& how) {
    begin();
    ASSERT_TRUE(session_->wants_tls());
    EXPECT_FALSE(session_->wants_input());
    client_->discard();
    if (how == "failed") return session_->on_tls_failed("wrong\nversion");
    TlsFacts facts{"TLSv1.3", "TLS_AES_256_GCM_SHA384", 256, 256};
    if (how == "verified") {
      facts.client = TlsFacts::Client::verified;
      facts.client_name = "mx\") (by";
      facts.client_issuer = "CA";
    }
    session_->on_tls(facts);
  }

  void script(const std::string& what, std::istringstream& words) {
    std::string name;
    std::string value;
    words >> name >> value;
    name = unescaped(name);
    std::map<std::string, std::string> options;
    for (std::string option; words >> option;) {
      const std::size_t equals = option.find('=');
      options[option.substr(0, equals)] = option.substr(equals + 1);
    }
    const ScriptedBackend::Duration after(options.contains("after") ? std::stoi(options["after"])
                                                                    : 0);
    if (what == "set") {
      set(name, value);
    } else if (what == "auth") {
      ASSERT_TRUE(kAuthSteps.contains(name)) << name;
      backend_.auth_steps.push_back({kAuthSteps.at(name), unescaped(value)});
    } else if (what == "mailbox") {
      std::vector<std::string> paths;
      std::istringstream list(value);
      for (std::string path; std::getline(list, path, ',');) paths.push_back(path);
      backend_.add_mailbox(name, paths, options["final"], after);
    } else if (what == "refuse") {
      ASSERT_TRUE(kReasons.contains(value)) << value;
      std::string text = options["text"];
      std::ranges::replace(text, '_', ' ');
      backend_.recipients.insert_or_assign(
          name, ScriptedBackend::Resolution{fail(kReasons.at(value), text), after});
    } else if (what == "deliver") {
      ASSERT_TRUE(value == "ok" || kReasons.contains(value)) << value;
      Result<void> result;
      if (value != "ok") result = fail(kReasons.at(value), "");
      backend_.outcomes.insert_or_assign(name, ScriptedBackend::Outcome{result, after});
    } else if (what == "body") {
      const std::size_t equals = name.find('=');
      if (name == "refused") backend_.refuse_body = Error{Reason::no_space, ""};
      if (name.starts_with("full-at")) backend_.full_at = std::stoul(name.substr(equals + 1));
      if (name.starts_with("refused-at")) backend_.refuse_at = std::stoul(name.substr(equals + 1));
    } else {
      FAIL() << "no such line: " << what;
    }
  }

  void set(const std::string& name, const std::string& value) {
    const auto number = [&] { return std::stoul(value); };
    if (name == "size") {
      settings_.size_announced = number();
    } else if (name == "recipient_limit") {
      settings_.recipient_limit = number();
    } else if (name == "error_limit") {
      settings_.error_limit = number();
    } else if (name == "junk_command_limit") {
      settings_.junk_command_limit = number();
    } else if (name == "hopcount_limit") {
      settings_.hopcount_limit = number();
    } else if (name == "tls") {
      settings_.tls = value == "may" ? TlsLevel::may : TlsLevel::encrypt;
    } else if (name == "tls_first") {
      settings_.tls_first = true;
    } else if (name == "strict") {
      settings_.strict_rfc821_envelopes = true;
    } else if (name == "reject_bare_newline") {
      settings_.reject_bare_newline = true;
    } else if (name == "mechanisms") {
      std::istringstream list(value);
      settings_.auth_mechanisms.clear();
      for (std::string one; std::getline(list, one, ',');) settings_.auth_mechanisms.push_back(one);
    } else if (name == "auth") {
      settings_.auth = value == "required"    ? AuthUse::required
                       : value == "strangers" ? AuthUse::required_of_strangers
                                              : AuthUse::offered;
    } else if (name == "trusted") {
      peer_.trusted = true;
    } else if (name == "encrypted") {
      settings_.tls_first = true;
      encrypted_ = true;
    } else if (name == "defer_over_quota") {
      settings_.defer_over_quota = true;
    } else if (name == "mails_refused") {
      backend_.mails_refused = number();
    } else if (name == "address") {
      peer_.address = value;
      peer_.port = 4711;
    } else {
      FAIL() << "no such setting: " << name;
    }
  }

  void expect_replies(std::string_view text) {
    const std::string_view prefix = behind_colon(text);
    if (text.starts_with("S[*]")) {
      while (expect_reply(prefix) == '-') continue;
    } else {
      for (std::size_t i = 0; i < times(text); ++i) expect_reply(prefix);
    }
  }

  // Returns what stands behind the code: '-' where the reply goes on.
  char expect_reply(std::string_view prefix) {
    const auto line = client_->read_line();
    if (!line) {
      ADD_FAILURE() << "no reply comes";
      return '\0';
    }
    EXPECT_EQ(line->substr(0, prefix.size()), prefix) << "the whole line: " << *line;
    EXPECT_LE(line->size(), 510U);  // B41
    // Where a word stands behind the code that looks like an enhanced one.
    const std::string_view word = std::string_view(*line).substr(4, line->find(' ', 4) - 4);
    if (word.size() > 1 && word[1] == '.') {
      EXPECT_TRUE(is_registered(word)) << *line;  // F6
    }
    return line->size() > 3 ? (*line)[3] : '\0';
  }

  // Received is the last of the trace fields, and its date the last of it.
  void skip_trace(const std::string& part) {
    ASSERT_EQ(part, "text");
    rest_.erase(0, rest_.find("+0000") + 5);
    rest_.erase(0, rest_.find('\n') + 1);
  }

  void expect_line(const std::string& expected) {
    const std::size_t end = rest_.find('\n');
    ASSERT_NE(end, std::string::npos) << "the message ends here";
    EXPECT_EQ(rest_.substr(0, end), expected);
    rest_.erase(0, end + 1);
    compared_ = true;
  }

  // Where lines of it were named, all were.
  void expect_whole_message() const {
    if (compared_) {
      EXPECT_EQ(rest_, "");
    }
  }

  void expect_closed() {
    EXPECT_EQ(client_->read_line(), std::nullopt);
    EXPECT_TRUE(session_->closing());
  }

  const Dialogue& dialogue_;
  Manner manner_;
  Settings settings_;
  Peer peer_;
  ScriptedBackend backend_;
  std::optional<Session> session_;
  std::optional<Client> client_;
  bool encrypted_ = false;  // before the greeting
  std::size_t heard_ = 0;   // of AUTH, that the dialogue has named
  std::size_t stored_ = 0;  // messages that the dialogue has named
  std::string rest_;        // of the one named last
  bool compared_ = false;   // with lines of the dialogue
};

class Dialogues : public ::testing::TestWithParam<Case> {};

TEST_P(Dialogues, Holds) {  // E2, E3, E5, E6
  setenv("TZ", "UTC", 1);
  Performance(GetParam().dialogue, GetParam().manner).run();
}

std::vector<Case> cases() {
  std::vector<Case> all;
  for (const Dialogue& dialogue : read_dialogues(LMTPD_DIALOGUES)) {
    all.push_back({dialogue, Manner::stepwise});
    all.push_back({dialogue, Manner::bytewise});
    if (!dialogue.is_timed()) all.push_back({dialogue, Manner::pipelined});
  }
  return all;
}

std::string name(const ::testing::TestParamInfo<Case>& info) {
  std::string out;
  bool upper = true;
  for (const char c : info.param.dialogue.title) {
    if (std::isalnum(static_cast<unsigned char>(c)) == 0) {
      upper = true;
    } else {
      out += upper ? static_cast<char>(std::toupper(static_cast<unsigned char>(c))) : c;
      upper = false;
    }
  }
  switch (info.param.manner) {
    case Manner::stepwise:
      return out + "_Stepwise";
    case Manner::bytewise:
      return out + "_Bytewise";
    case Manner::pipelined:
      return out + "_Pipelined";
  }
  return out;
}

INSTANTIATE_TEST_SUITE_P(Session, Dialogues, ::testing::ValuesIn(cases()), name);

}  // namespace

}  // namespace lmtpd::session
