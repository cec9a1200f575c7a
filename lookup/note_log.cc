#include "lookup/note_log.h"

namespace lmtpd::lookup {

void NoteLog::write(const std::vector<Note>& notes, Clock::time_point now) {
  for (const Note& note : notes) {
    const auto known = written_.find(note.key);
    if (known != written_.end() && now < known->second + kInterval) continue;
    // More rows to be mended than that: some are said more often.
    if (known == written_.end() && written_.size() >= kMostRemembered) written_.clear();
    written_[note.key] = now;
    write_(note.text);
  }
}

}  // namespace lmtpd::lookup
