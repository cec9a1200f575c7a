// tests/session/dialogue.h -- dialogues as text: what the client says, what it hears, what is
// stored.
//
// A file holds dialogues; each begins with a line `== title`, the title naming points of the
// checklist. Then, a line each:
//   # comment
//   only PLACE: WHY      performed there alone, beside the bare session:
//                        session  what it tells cannot be had over a socket, such as the time
//                        clear    not in TLS from the first octet
//                        tls      in TLS from the first octet, which the bare session is told of
//   set NAME VALUE                       a setting of the session, or of its peer
//   mailbox ADDRESS PATH[,PATH] [final=ADDRESS] [after=MS]
//   refuse ADDRESS REASON [text=WORDS_WITH_UNDERSCORES] [after=MS]
//   deliver PATH REASON|ok [after=MS]    what becomes of a copy
//   body refused | full-at=N | refused-at=N
//                        the latter two with `set size 0`: where there is a limit, a Connection
//                        asks for more room than it needs yet
//   auth STEP [TEXT]                     what AUTH is answered next: challenge, accepted,
//                                        refused or unavailable
//   heard MESSAGE                        the backend's next of AUTH: MECHANISM, MECHANISM:RESPONSE,
//                                        :RESPONSE, end
//   C: line          sent with CR LF; escapes \r \n \t \0 \\ \xHH
//   C[N]: line       the same N times
//   c: octets        sent as they stand
//   c[N]: octets     the same N times, without anything between them
//   c!: octets       the same, in one piece where others are cut
//   S: text          the next reply line begins with it
//   S=: text         the next reply line is it
//   S[N]: text       each of the next N reply lines begins with it
//   S[*]: text       all lines of the next reply begin with it
//   stored PATH [text]   the next message to be delivered, followed by its lines: `| line`,
//                    `|[N] octets` where it is N times these, and, where its last one has no
//                    end, `|$ text`; with `text` what the client sent of it, without the
//                    fields that were put before
//   nothing stored   nothing that has not been named
//   log TEXT         some line of the log holds it
//   last log TEXT    the last line of the log ends with it
//   counted NAME N   the counter's number (counter.h)
//   wait MS          the clock goes on; the deadline passes if it is due
//   stop             shut_down()
//   tls [verified | untrusted]
//                    what was sent and not taken is thrown away, and TLS is there; the client shows
//                    a certificate, of an authority that is known or of another
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

// Where it can be performed, as `only` says.
enum class Place { anywhere, session, clear, tls };

struct Dialogue {
  std::string file;
  std::string title;
  std::vector<DialogueLine> lines;
  Place place = Place::anywhere;

  // It says itself when the handshake is.
  [[nodiscard]] bool begins_tls() const;
  // The client shows a certificate then.
  [[nodiscard]] bool shows_certificate() const;
};

// All of every *.txt in `folder`. Aborts if there is none, or one is not as above.
[[nodiscard]] std::vector<Dialogue> read_dialogues(const std::string& folder);

// Time passes, the session is stopped, or TLS begins: what the client says behind it is not sent
// before.
[[nodiscard]] bool is_event(std::string_view line);
// With escapes undone.
[[nodiscard]] std::string unescaped(std::string_view text);
// How often a line is to be taken: "S[3]: ..." three times.
[[nodiscard]] std::size_t times(std::string_view line);
[[nodiscard]] std::string repeated(std::string_view octets, std::size_t times);
[[nodiscard]] std::string_view behind_colon(std::string_view line);
// Whether it is the client's line.
[[nodiscard]] bool is_said(std::string_view line);
// What the client sends by this line; nothing where it is another's.
[[nodiscard]] std::string said(std::string_view line);

}  // namespace lmtpd::session
