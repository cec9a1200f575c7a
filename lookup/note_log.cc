#include "lookup/note_log.h"

namespace lmtpd::lookup {

void NoteLog::write(const std::vector<std::string>& notes, Clock::time_point now) {
  for (const std::string& note : notes) {
    const auto known = written_.find(note);
    if (known != written_.end() && now < known->second + kInterval) continue;
    // Who could fill it with other notes could fill the log as well.
    if (known == written_.end() && written_.size() >= kMostRemembered) written_.clear();
    written_[note] = now;
    write_(note);
  }
}

}  // namespace lmtpd::lookup
