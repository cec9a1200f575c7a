// A whole session: octets of a hostile client against a Backend whose answers come when and as the
// input says. The first octet chooses settings; octets from 0xF0 on direct the Backend, 0xEF quotes
// one; all others are the client's. 0xF2 N has the client say its last octet 64 * (N + 1) times
// more, or its last line behind the line's end: no input is as long as what is too long for a
// session. After each step the session must keep its bounds and its part of the Backend's contract.
// Then the client's octets alone, whole and one at a time, must draw the same replies.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <set>
#include <string>
#include <utility>

#include "lmtpd/session/session.h"
#include "tests/session/clean_text.h"
#include "tests/session/scripted_backend.h"

namespace {

using namespace lmtpd;
using namespace lmtpd::session;

void must(bool holds) {
  if (!holds) std::abort();
}

// Octets of repetitions, so that an input is done in time.
constexpr std::size_t kMostRepeated = 32 * 1024;

class Run {
 public:
  // `piece`: octets offered to the session at a time.
  Run(std::uint8_t flags, std::size_t piece) : piece_(piece) {
    settings_.hostname = "mx.test";
    settings_.size_announced = 2000;
    settings_.recipient_limit = 4;
    settings_.hopcount_limit = 3;
    settings_.junk_command_limit = 10;
    // Steps of a second reach each of them.
    settings_.session_timeout = std::chrono::seconds(3);
    settings_.transaction_time_limit = std::chrono::seconds(7);
    settings_.starttls_timeout = std::chrono::seconds(2);
    settings_.strict_rfc821_envelopes = (flags & 1) != 0;
    settings_.reject_bare_newline = (flags & 2) != 0;
    if ((flags & 4) != 0) backend_.full_at = 20;
    if ((flags & 8) != 0) backend_.refuse_at = 60;
    if ((flags & 8) != 0) backend_.most_held = 600;
    if ((flags & 16) != 0) backend_.refuse_body = ScriptedBackend::no_room();
    if ((flags & 32) != 0) settings_.tls = (flags & 64) != 0 ? TlsLevel::encrypt : TlsLevel::may;
    settings_.tls_first = (flags & 128) != 0;
    backend_.add_mailbox("a@x.org", {"a"});
    backend_.add_mailbox("b@x.org", {"b", "c"}, "final@x.org", ScriptedBackend::Duration(2));
    backend_.outcomes["c"] = {fail(Reason::over_quota, ""), ScriptedBackend::Duration(3)};
    settings_.auth_mechanisms = {"SCRAM-SHA-256", "PLAIN"};
    Peer peer;
    peer.trusted = (flags & 32) != 0;
    if ((flags & 1) != 0) settings_.auth = AuthUse::offered;
    if ((flags & 2) != 0) settings_.auth = AuthUse::required_of_strangers;
    if ((flags & (32 | 64)) == 64) settings_.auth = AuthUse::required;
    using Step = AuthStep::Kind;
    backend_.auth_steps = {{Step::challenge, "x"}, {Step::refused, {}},     {Step::unavailable, {}},
                           {Step::challenge, {}},  {Step::accepted, "u\n"}, {Step::accepted, "v"}};
    if ((flags & 4) == 0) std::swap(backend_.auth_steps[1], backend_.auth_steps[4]);
    session_.emplace(settings_, "S1", peer, backend_);
  }

  // What the session said. `directed`: the input's directions are followed.
  std::string play(std::string_view input, bool directed) {
    for (std::size_t i = 0; i < input.size(); ++i) {
      const auto octet = static_cast<std::uint8_t>(input[i]);
      if (octet == 0xEF && i + 1 < input.size()) {
        say(input[++i]);
      } else if (octet < 0xF0) {
        say(static_cast<char>(octet));
      } else if (octet == 0xF2 && i + 1 < input.size()) {
        repeat(64 * (static_cast<std::uint8_t>(input[++i]) + std::size_t{1}));
      } else if (directed) {
        direct(octet);
      }
    }
    offer();
    while (backend_.answer_next(*session_)) offer();
    must(unsent_.empty() || session_->closing());
    session_->shut_down();
    // A client that says no more, and a daemon that stops: whatever it was at comes to an end.
    backend_.advance(settings_.transaction_time_limit);
    session_->on_deadline();
    must(session_->closing());
    check();
    return transcript_;
  }

 private:
  void say(char octet) {
    if (line_.ends_with('\n')) line_.clear();
    line_ += octet;
    unsent_ += octet;
  }

  void repeat(std::size_t times) {
    if (line_.empty()) return;
    const std::string what = line_.ends_with('\n') ? line_ : line_.substr(line_.size() - 1);
    for (; times > 0 && repeated_ + what.size() <= kMostRepeated; --times) {
      unsent_ += what;
      repeated_ += what.size();
    }
  }

  void direct(std::uint8_t octet) {
    offer();
    switch (octet & 3) {
      case 0:
        backend_.answer_next(*session_);
        break;
      case 1:
        backend_.advance(ScriptedBackend::Duration(1000));
        session_->on_deadline();
        break;
      case 2:
        if (octet == 0xFE) session_->shut_down();
        if (octet == 0xFA && session_->wants_tls()) session_->on_tls_failed("why");
        if (octet == 0xF6) session_->turn_away();
        break;
      default:
        while (backend_.answer_next(*session_)) offer();
    }
    offer();
  }

  // Replies that nobody takes stop a session, too.
  void offer() {
    do {
      take();
      check();
    } while (!unsent_.empty() && session_->wants_input());
  }

  void take() {
    std::string_view rest = unsent_;
    while (!rest.empty()) {
      if (session_->wants_tls()) begin_tls();
      const std::size_t consumed = session_->consume(rest.substr(0, piece_));
      must(consumed <= rest.size());
      must(consumed > 0 || !session_->wants_input());
      if (consumed == 0) break;
      rest.remove_prefix(consumed);
    }
    unsent_.erase(0, unsent_.size() - rest.size());
  }

  // What follows is taken for protected.
  void begin_tls() {
    must(!session_->wants_input());
    TlsFacts facts{"TLSv1.3", "TLS_AES_256_GCM_SHA384", 256, 256};
    facts.client = TlsFacts::Client::verified;
    facts.client_name = "a\n";
    session_->on_tls(facts);
  }

  void check() {
    const std::string output = session_->take_output();
    transcript_ += output;
    must(backend_.breaches().empty());
    if (session_->closing()) {
      must(!session_->wants_input());
      must(session_->deadline() == Clock::time_point::max());
    }
    std::size_t at = 0;
    for (std::size_t end; (end = output.find("\r\n", at)) != std::string::npos; at = end + 2) {
      const std::string line = output.substr(at, end - at);
      check_reply(line);
      check_stored(line);
      check_sender(line);
    }
    must(at == output.size());
    for (const std::string& line : backend_.log_lines) must(is_clean(line));
    backend_.log_lines.clear();
    for (const auto& copy : backend_.stored) {
      must(copy.content.starts_with("Return-Path: <"));
      must(are_clean(trace_of(copy.content)));
    }
    backend_.stored.clear();
  }

  // Nobody is told so before it is: of the recipients only a@x.org can be stored without a failure.
  void check_stored(const std::string& line) {
    if (!line.starts_with("250 2.0.0 Stored, id=")) return;
    messages_stored_.insert(line);
    must(messages_stored_.size() <=
         static_cast<std::size_t>(std::ranges::count(backend_.told_stored, std::string("a"))));
  }

  // Where AUTH is required of all no mail is taken before it. (Nobody is trusted then, so that no
  // XCLIENT has it forgotten.)
  void check_sender(const std::string& line) {
    if (line.starts_with("235 ")) authenticated_ = true;
    must(settings_.auth != AuthUse::required || authenticated_ || !line.starts_with("250 2.1.0"));
  }

  static void check_reply(const std::string& line) {
    for (const char c : line) must(c >= 0x20 && c < 0x7F);
    must(line.size() >= 4 && line.size() <= 510);
    must(line[0] >= '2' && line[0] <= '5' && (line[3] == ' ' || line[3] == '-'));
  }

  Settings settings_;
  ScriptedBackend backend_;
  std::optional<Session> session_;
  std::string unsent_;
  std::string line_;          // that the client said last, without repetitions
  std::size_t repeated_ = 0;  // octets
  bool authenticated_ = false;
  std::string transcript_;
  std::set<std::string> messages_stored_;  // replies, which have its id
  std::size_t piece_;
};

}  // namespace

extern "C" int LLVMFuzzerInitialize(int*, char***) {
  return setenv("TZ", "UTC", 1);  // dates in Received
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view input(reinterpret_cast<const char*>(data) + 1, size - 1);
  Run(data[0], SIZE_MAX).play(input, true);
  const std::string whole = Run(data[0], SIZE_MAX).play(input, false);
  must(Run(data[0], 1).play(input, false) == whole);
  return 0;
}
