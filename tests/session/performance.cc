#include "tests/session/performance.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cstdlib>
#include <map>
#include <regex>
#include <sstream>
#include <utility>

#include "lmtpd/base/counters.h"
#include "tests/session/clean_text.h"
#include "tests/session/enhanced_codes.h"
#include "tests/session/reference_data.h"

namespace lmtpd::session {
namespace {

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

class Performance {
 public:
  Performance(const Dialogue& dialogue, Manner manner, Stage& stage)
      : dialogue_(dialogue), manner_(manner), stage_(stage), backend_(stage.backend()) {
    settings_.hostname = "mx.test";
    settings_.size_announced = 10000;
    settings_.tls_first = dialogue.place == Place::tls;
  }

  void run() {
    while (next_ < dialogue_.lines.size()) {
      const DialogueLine& line = dialogue_.lines[next_++];
      SCOPED_TRACE(dialogue_.file + ":" + std::to_string(line.number) + ": " + line.text);
      perform(line.text);
      if (::testing::Test::HasFatalFailure()) return;
      if (is_event(line.text)) say_all(next_);
    }
    expect_whole_message();
    begin();
    stage_.end();
    EXPECT_EQ(read_line(), std::nullopt) << "a reply that nobody expects";
    if (stage_.closed()) expect_farewell();
    EXPECT_EQ(backend_.breaches(), std::vector<std::string>());
    expect_clean_lines();
  }

  [[nodiscard]] std::string transcript() const {
    std::string all = replies_;
    for (const ScriptedBackend::Stored& copy : backend_.stored) {
      all += "stored " + copy.path + "\n" + copy.content;
    }
    return all;
  }

 private:
  void begin() {
    if (std::exchange(begun_, true)) return;
    stage_.begin(settings_, peer_);
    if (dialogue_.place == Place::tls && !dialogue_.begins_tls()) stage_.begin_tls({});
    say_all(0);
  }

  // What stands there, and behind it, before the next event.
  void say_all(std::size_t at) {
    if (manner_ != Manner::pipelined) return;
    std::string all;
    for (; at < dialogue_.lines.size() && !is_event(dialogue_.lines[at].text); ++at) {
      all += said(dialogue_.lines[at].text);
    }
    if (!all.empty()) stage_.send(all);
  }

  void perform(const std::string& text) {
    if (is_said(text)) {
      begin();
      if (manner_ == Manner::pipelined) return;  // it was said before
      if (text.starts_with("c!")) {
        stage_.send_in_one_piece(said(text));
      } else {
        stage_.send(said(text));
      }
    } else if (text[0] == 'S') {
      begin();
      expect_replies(text);
    } else if (text.starts_with("|$")) {
      EXPECT_EQ(std::exchange(rest_, {}), unescaped(text.substr(3)));
    } else if (text.starts_with("|[")) {
      expect_line(repeated(unescaped(text.substr(text.find(' ') + 1)), times(text)));
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
      stage_.wait(std::chrono::milliseconds(milliseconds));
    } else if (what == "stop") {
      begin();
      stage_.shut_down();
    } else if (what == "tls") {
      std::string how;
      words >> how;
      begin();
      stage_.begin_tls(how);
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
    } else if (what == "closed") {
      expect_closed();
    } else if (what == "nothing") {
      EXPECT_EQ(backend_.stored.size(), stored_);
    } else if (what == "log") {
      const std::string part = comparable(text.substr(4));
      EXPECT_TRUE(std::ranges::any_of(backend_.log_lines,
                                      [&](const std::string& line) {
                                        return comparable(line).find(part) != std::string::npos;
                                      }))
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
      const std::string part = comparable(text.substr(std::string("last log ").size()));
      EXPECT_TRUE(comparable(backend_.log_lines.back()).ends_with(part))
          << "the last line: " << backend_.log_lines.back();
    } else {
      ASSERT_FALSE(begun_) << "the script comes before the first command";
      script(what, words);
    }
  }

  // A line of the log, without what this machine's clock makes of it.
  [[nodiscard]] std::string comparable(const std::string& line) const {
    static const std::regex delays("delay=[0-9.]+, delays=[0-9./]+");
    if (stage_.has_scripted_clock()) return line;
    return std::regex_replace(line, delays, "delay=, delays=");
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
      if (name == "refused") backend_.refuse_body = ScriptedBackend::no_room();
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
    } else if (name == "disable_vrfy_command") {
      settings_.disable_vrfy_command = true;
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
    } else if (name == "trusted_clients") {
      std::istringstream list(value);
      for (std::string one; std::getline(list, one, ',');) backend_.trusted_clients.push_back(one);
    } else if (name == "trusted") {
      peer_.trusted = true;
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

  std::optional<std::string> read_line() {
    std::optional<std::string> line = stage_.read_line();
    if (line) replies_ += *line + "\n";
    return line;
  }

  void expect_replies(std::string_view text) {
    const std::string_view prefix = behind_colon(text);
    if (text.starts_with("S=:")) {
      expect_reply(prefix);
      EXPECT_EQ(last_reply_, prefix);
    } else if (text.starts_with("S[*]")) {
      while (expect_reply(prefix) == '-') continue;
    } else {
      for (std::size_t i = 0; i < times(text); ++i) expect_reply(prefix);
    }
  }

  // Returns what stands behind the code: '-' where the reply goes on.
  char expect_reply(std::string_view prefix) {
    const auto line = read_line();
    if (!line) {
      ADD_FAILURE() << "no reply comes";
      return '\0';
    }
    EXPECT_EQ(line->substr(0, prefix.size()), prefix) << "the whole line: " << *line;
    EXPECT_LE(line->size(), 510U);  // B41
    expect_enhanced_code(*line);
    const char behind_code = line->size() > 3 ? (*line)[3] : '\0';
    if (in_lines_) {
      EXPECT_EQ(line->substr(0, 3), last_reply_.substr(0, 3));  // B41
    } else if (behind_code == '-') {
      EXPECT_EQ(*line, "250-mx.test") << "only LHLO's reply has several lines";  // A11, F4
    }
    last_reply_ = *line;
    in_lines_ = behind_code == '-';
    return behind_code;
  }

  // Of the class of the reply (RFC 2034 3). The greeting has none, nor has what is said to LHLO,
  // HELO and EHLO.
  void expect_enhanced_code(const std::string& line) const {
    const bool has_none = line.starts_with("220 mx.test ") || line[0] == '3' || in_lines_ ||
                          line.starts_with("250-") || line.starts_with("501 LHLO") ||
                          line.starts_with("500 This");
    const std::string_view word = std::string_view(line).substr(4, line.find(' ', 4) - 4);
    EXPECT_EQ(is_registered(word), !has_none) << line;
    EXPECT_TRUE(has_none || word[0] == line[0]) << line;
  }

  // Whatever the client said: all that the session wrote is text, a line each.
  void expect_clean_lines() const {
    for (const std::string& line : backend_.log_lines) {
      EXPECT_TRUE(is_clean(line)) << "logged: " << ::testing::PrintToString(line);
    }
    for (const ScriptedBackend::Stored& copy : backend_.stored) {
      EXPECT_TRUE(are_clean(trace_of(copy.content))) << ::testing::PrintToString(copy.content);
    }
  }

  void skip_trace(const std::string& part) {
    ASSERT_EQ(part, "text");
    rest_.erase(0, trace_of(rest_).size());
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

  // Where a session ended that its client did not leave. Behind STARTTLS, or where TLS comes first,
  // it may be for the handshake, of which nothing can be said.
  void expect_farewell() const {
    if (last_reply_.empty() || last_reply_.starts_with("220 2.0.0")) return;
    const std::string_view code = std::string_view(last_reply_).substr(0, 4);
    EXPECT_TRUE(code == "221 " || code == "421 ") << "the last reply: " << last_reply_;
  }

  void expect_closed() {
    EXPECT_EQ(read_line(), std::nullopt);
    EXPECT_TRUE(stage_.closed());
  }

  const Dialogue& dialogue_;
  Manner manner_;
  Stage& stage_;
  ScriptedBackend& backend_;  // stage_'s
  Settings settings_;
  Peer peer_;
  std::size_t next_ = 0;  // of its lines
  bool begun_ = false;
  std::string replies_;     // all lines
  bool in_lines_ = false;   // of one reply
  std::string last_reply_;  // its last line
  std::size_t heard_ = 0;   // of AUTH, that the dialogue has named
  std::size_t stored_ = 0;  // messages that the dialogue has named
  std::string rest_;        // of the one named last
  bool compared_ = false;   // with lines of the dialogue
};

}  // namespace

std::string perform(const Dialogue& dialogue, Manner manner, Stage& stage) {
  // Dates in Received.
  setenv("TZ", "UTC", 1);
  Performance performance(dialogue, manner, stage);
  performance.run();
  return performance.transcript();
}

const char* name_of(Manner manner) {
  switch (manner) {
    case Manner::stepwise:
      return "Stepwise";
    case Manner::bytewise:
      return "Bytewise";
    case Manner::pipelined:
      break;
  }
  return "Pipelined";
}

std::string name_of(const Dialogue& dialogue) {
  std::string out;
  bool upper = true;
  for (const char c : dialogue.title) {
    if (std::isalnum(static_cast<unsigned char>(c)) == 0) {
      upper = true;
    } else {
      out += upper ? static_cast<char>(std::toupper(static_cast<unsigned char>(c))) : c;
      upper = false;
    }
  }
  return out;
}

}  // namespace lmtpd::session
