// tests/session/dialogue.h -- dialogues as text: what the client says, what it hears, what is
// stored.
//
// A file holds dialogues; each begins with a line `== title`, the title naming points of the
// checklist. Then, a line each:
//   # comment
//   set NAME VALUE                       a setting of the session, or of its peer
//   mailbox ADDRESS PATH[,PATH] [final=ADDRESS] [after=MS]
//   refuse ADDRESS REASON [text=WORDS_WITH_UNDERSCORES] [after=MS]
//   deliver PATH REASON|ok [after=MS]    what becomes of a copy
//   body refused | full-at=N | refused-at=N
//   auth STEP [TEXT]                     what AUTH is answered next: challenge, accepted,
//                                        refused or unavailable
//   heard MESSAGE                        the backend's next of AUTH: MECHANISM, MECHANISM:RESPONSE,
//                                        :RESPONSE, end
//   C: line          sent with CR LF; escapes \r \n \t \0 \\ \xHH
//   C[N]: line       the same N times
//   c: octets        sent as they stand
//   S: text          the next reply line begins with it
//   S[N]: text       the same N times
//   S[*]: text       all lines of the next reply begin with it
//   stored PATH [text]   the next message to be delivered, followed by its lines: `| line`
//                    and, where its last one has no end, `|$ text`; with `text` what the
//                    client sent of it, without the fields that were put before
//   nothing stored   nothing that has not been named
//   log TEXT         some line of the log holds it
//   last log TEXT    the last line of the log ends with it
//   counted NAME N   the counter's number (counter.h)
//   wait MS          the clock goes on; the deadline passes if it is due
//   stop             shut_down()
//   tls [verified]   what was sent and not taken is thrown away, and TLS is there
//   tls failed       the handshake failed
//   closed           after all replies the session wants to be closed
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace lmtpd::session {

struct DialogueLine {
  std::size_t number;  // in its file
  std::string text;
};

struct Dialogue {
  std::string file;
  std::string title;
  std::vector<DialogueLine> lines;

  // It tells the time, stops the session, or has TLS begin, between two commands: what it says
  // cannot be sent at once.
  [[nodiscard]] bool is_timed() const;
};

// All of every *.txt in `folder`. Aborts if there is none.
[[nodiscard]] std::vector<Dialogue> read_dialogues(const std::string& folder);

// With escapes undone.
[[nodiscard]] std::string unescaped(std::string_view text);

}  // namespace lmtpd::session
