// lookup/note_log.h -- the same warning once in a while, not once a recipient.
#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <unordered_map>
#include <vector>

#include "lmtpd/base/ticket.h"

namespace lmtpd::lookup {

// `key` is what the administrator wrote, not what a client did: an alias row has as many recipients
// as they like to invent (extensions, catch-alls).
struct Note {
  std::string key;
  std::string text;
  bool operator==(const Note&) const = default;
};

class NoteLog {
 public:
  static constexpr std::chrono::minutes kInterval{5};
  static constexpr std::size_t kMostRemembered = 1000;
  using Write = std::function<void(const std::string& note)>;

  explicit NoteLog(Write write) : write_(std::move(write)) {}

  // Those whose key had none within kInterval.
  void write(const std::vector<Note>& notes, Clock::time_point now);

 private:
  Write write_;
  std::unordered_map<std::string, Clock::time_point> written_;  // by key
};

}  // namespace lmtpd::lookup
