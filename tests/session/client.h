// tests/session/client.h -- the far end of a session: its octets, whole or in pieces, and the
// replies.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>

#include "lmtpd/session/session.h"
#include "tests/session/scripted_backend.h"

namespace lmtpd::session {

class Client {
 public:
  // `piece`: octets that are offered at a time.
  Client(Session& session, ScriptedBackend& backend, std::size_t piece)
      : session_(session), backend_(backend), piece_(piece) {
    collect();
  }

  void send(std::string_view octets) {
    unsent_ += octets;
    push();
  }

  // Offers what the session has not taken yet.
  void push() {
    std::string_view rest = unsent_;
    while (!rest.empty()) {
      const std::size_t consumed = session_.consume(rest.substr(0, piece_));
      collect();
      if (consumed == 0) break;
      ASSERT_LE(consumed, rest.size());
      rest.remove_prefix(consumed);
    }
    unsent_.erase(0, unsent_.size() - rest.size());
  }

  // The next reply line, without CR LF; waits for answers that are owed. nullopt: none comes.
  std::optional<std::string> read_line() {
    while (true) {
      collect();
      const std::size_t end = replies_.find("\r\n");
      if (end != std::string::npos) {
        std::string line = replies_.substr(0, end);
        replies_.erase(0, end + 2);
        return line;
      }
      if (!backend_.answer_next(session_)) return std::nullopt;
      push();
    }
  }

  // A line that is there already.
  std::optional<std::string> read_line_now() {
    collect();
    const std::size_t end = replies_.find("\r\n");
    if (end == std::string::npos) return std::nullopt;
    std::string line = replies_.substr(0, end);
    replies_.erase(0, end + 2);
    return line;
  }

  // As a session's owner has to, before TLS.
  void discard() { unsent_.clear(); }

  [[nodiscard]] std::size_t unsent() const { return unsent_.size(); }

 private:
  void collect() { replies_ += session_.take_output(); }

  Session& session_;
  ScriptedBackend& backend_;
  std::size_t piece_;
  std::string unsent_;
  std::string replies_;
};

}  // namespace lmtpd::session
