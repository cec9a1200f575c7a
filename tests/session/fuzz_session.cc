// A whole session: octets of a hostile client against a Backend whose answers come when and as the
// input says. Octets from 0xF0 on direct the Backend, 0xEF quotes one; all others are the client's.
// After each step the session must keep its bounds and its part of the Backend's contract, and in
// the end there must be no more replies than were owed.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "lmtpd/session/session.h"
#include "tests/session/scripted_backend.h"

namespace {

using namespace lmtpd;
using namespace lmtpd::session;

void must(bool holds) {
  if (!holds) std::abort();
}

class Run {
 public:
  Run() {
    settings_.hostname = "mx.test";
    settings_.size_announced = 2000;
    settings_.recipient_limit = 4;
    settings_.hopcount_limit = 3;
    backend_.add_mailbox("a@x.org", {"a"});
    backend_.add_mailbox("b@x.org", {"b", "c"}, "final@x.org", ScriptedBackend::Duration(2));
    backend_.outcomes["c"] = {fail(Reason::over_quota, ""), ScriptedBackend::Duration(3)};
  }

  void play(std::string_view input) {
    // The first octet chooses the settings.
    const auto flags = static_cast<std::uint8_t>(input[0]);
    settings_.strict_rfc821_envelopes = (flags & 1) != 0;
    settings_.reject_bare_newline = (flags & 2) != 0;
    if ((flags & 4) != 0) backend_.full_at = 20;
    if ((flags & 8) != 0) backend_.refuse_at = 60;
    if ((flags & 16) != 0) backend_.refuse_body = Error{Reason::no_space, ""};
    session_.emplace(settings_, "S1", Peer{"localhost", "unix"}, backend_);
    for (std::size_t i = 1; i < input.size(); ++i) {
      const auto octet = static_cast<std::uint8_t>(input[i]);
      if (octet == 0xEF && i + 1 < input.size()) {
        unsent_ += input[++i];
      } else if (octet >= 0xF0) {
        direct(octet);
      } else {
        unsent_ += static_cast<char>(octet);
      }
    }
    offer();
    while (backend_.answer_next(*session_)) offer();
    must(backend_.owed() == 0);
    must(unsent_.empty() || session_->closing());
    session_->shut_down();
    check();
  }

 private:
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
        break;
      default:
        while (backend_.answer_next(*session_)) offer();
    }
    offer();
  }

  void offer() {
    while (!unsent_.empty()) {
      const std::size_t consumed = session_->consume(unsent_);
      must(consumed <= unsent_.size());
      must(consumed > 0 || !session_->wants_input());
      if (consumed == 0) break;
      unsent_.erase(0, consumed);
    }
    check();
  }

  void check() {
    output_ += session_->take_output();
    must(backend_.breaches().empty());
    if (session_->closing()) {
      must(!session_->wants_input());
      must(session_->deadline() == Clock::time_point::max());
    }
    for (std::size_t end; (end = output_.find("\r\n")) != std::string::npos;) {
      check_reply(output_.substr(0, end));
      output_.erase(0, end + 2);
    }
    must(output_.empty());
    for (const std::string& line : backend_.log_lines) must_be_clean(line);
    backend_.log_lines.clear();
    for (const auto& copy : backend_.stored) must(copy.content.starts_with("Return-Path: <"));
    backend_.stored.clear();
  }

  static void check_reply(const std::string& line) {
    must_be_clean(line);
    must(line.size() >= 4 && line.size() <= 510);
    must(line[0] >= '2' && line[0] <= '5' && (line[3] == ' ' || line[3] == '-'));
  }

  static void must_be_clean(const std::string& line) {
    for (const char c : line) must(static_cast<unsigned char>(c) >= 0x20 && c != 0x7F);
  }

  Settings settings_;
  ScriptedBackend backend_;
  std::optional<Session> session_;
  std::string unsent_;
  std::string output_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size > 0) Run().play(std::string_view(reinterpret_cast<const char*>(data), size));
  return 0;
}
