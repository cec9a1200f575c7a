// lmtpd/session/session.h -- one LMTP session (RFC 2033), sans-I/O: octets in, replies out.
//
// Knows no socket, event loop, TLS, process or file. Its owner feeds it octets and completions and
// takes replies away; what it cannot do itself it asks of its Backend. Not thread-safe.
#pragma once

#include <chrono>
#include <cstdint>
#include <ctime>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lmtpd/base/address.h"
#include "lmtpd/base/config/listen_spec.h"
#include "lmtpd/base/counter.h"
#include "lmtpd/base/result.h"
#include "lmtpd/base/ticket.h"
#include "lmtpd/session/peer.h"

namespace lmtpd::session {

// AUTH (RFC 4954): without it where it is required neither MAIL nor VRFY.
enum class AuthUse : std::uint8_t {
  none,  // not offered
  offered,
  required_of_strangers,  // who is trusted by his address or his certificate need not
  required,
};

struct Settings {
  std::string hostname;                // in greeting, LHLO reply and Received (myhostname)
  std::uint64_t size_announced = 0;    // octets: SIZE, and what is refused beyond (RFC 1870)
  std::size_t recipient_limit = 1000;  // accepted RCPTs a transaction; announced up to 999999
  // 500, 501, 502, 504, 535 and 555 since the last message, then 421. What is said of a recipient,
  // a message or the daemon's state does not count.
  std::size_t error_limit = 20;
  // Commands since the last RCPT, DATA or BDAT in its turn, then 421; not those that RFC 2920 has a
  // client send behind a MAIL before it knows that MAIL was refused: as many RCPTs as there may be,
  // a DATA, and a BDAT for each 64 KiB.
  std::size_t junk_command_limit = 100;
  std::size_t hopcount_limit = 100;                             // Received headers
  std::chrono::milliseconds session_timeout{300'000};           // without a command or data
  std::chrono::milliseconds transaction_time_limit{1'800'000};  // MAIL to the dot; stray chunks
  bool strict_rfc821_envelopes = false;
  bool disable_vrfy_command = false;
  bool reject_bare_newline = false;          // forbid_bare_newline = reject
  bool defer_over_quota = false;             // over_quota = defer
  std::vector<std::string> auth_mechanisms;  // in capitals; none: nobody can authenticate
  // Of the listener that the client came by. tls: whether STARTTLS is offered, and needed.
  TlsLevel tls = TlsLevel::none;
  AuthUse auth = AuthUse::none;
  bool tls_first = false;                              // inets: before the greeting
  std::chrono::milliseconds starttls_timeout{60'000};  // of the handshake
};

// What the handshake came to; for Received and the log.
struct TlsFacts {
  std::string protocol;  // "TLSv1.3"
  std::string cipher;    // "TLS_AES_256_GCM_SHA384"
  int used_bits = 0;
  int cipher_bits = 0;
  // The client's certificate: not asked for; asked for and not sent; sent, and of no authority that
  // is known here; verified.
  enum class Client : std::uint8_t { not_asked, none, untrusted, verified };
  Client client = Client::not_asked;
  std::string client_name;    // its subject's common name
  std::string client_issuer;  // its issuer's
};

// A SASL exchange begins.
struct AuthStart {
  std::string_view address;                  // the peer's
  std::string_view mechanism;                // in capitals
  std::optional<std::string_view> response;  // the initial one
};

struct AuthStep {
  enum class Kind { challenge, accepted, refused, unavailable };
  Kind kind;
  std::string text;  // challenge: its octets; accepted: the user's name
};

// One mailbox that an accepted recipient resolves to.
struct Mailbox {
  std::string ticket;        // for the backend
  std::string path;          // below the base; equal paths get one copy
  std::string delivered_to;  // the final address
};

// One copy of a message.
struct Copy {
  std::string ticket;
  std::string headers;          // Return-Path to Received, with LF; with CR LF before BINARYMIME
  std::uint64_t wire_size = 0;  // octets of headers and body with CRLF line ends
};

// The mailboxes that a transaction's recipients may have; but its first may have more by itself.
[[nodiscard]] constexpr std::size_t most_mailboxes(std::size_t recipient_limit) {
  return 10 * recipient_limit;
}

// Recipients of a session whose replies are owed at a time. A pipelined RCPT beyond waits for the
// oldest of them, so that a client's questions are no more than these for each of its connections.
inline constexpr std::size_t kMostResolving = 256;

// What a session needs done. Every start_ is answered exactly once by the session function that ->
// names, with the same id, at once or later, but never from within a call of these. Ids are unique
// within a session. An answer that is still due is withdrawn by end_auth() or drop_body(), and by
// the session's destruction; recipients and copies are withdrawn by that alone. A session that has
// no use for an answer any more, being closed for one, takes it for nothing.
class Backend {
 public:
  virtual ~Backend() = default;

  virtual Clock::time_point now() = 0;
  virtual std::time_t wall_clock() = 0;

  // Whether this address, which XCLIENT names, is among trusted_clients. kUnknown is not.
  [[nodiscard]] virtual bool is_trusted(const std::string& address) = 0;

  // Asked at each MAIL that nothing else speaks against. False: there are too many connections;
  // 451 4.3.2.
  [[nodiscard]] virtual bool may_send_mail() = 0;

  // -> on_resolved(). At most kMostResolving at a time.
  virtual void start_resolve(std::uint64_t id, const Address& recipient) = 0;

  // One exchange at a time, and so no id: start_auth() and continue_auth() (the answer to a
  // challenge) -> each on_auth_step(). But for a challenge, the exchange is over then.
  virtual void start_auth(const AuthStart& start) = 0;
  virtual void continue_auth(std::string_view response) = 0;
  // It is over; an on_auth_step() that is still due is withdrawn.
  virtual void end_auth() = 0;

  // The transaction's recipients take so many octets more: one that came, or what was found for it.
  // False: there is no room for them; 452 4.3.1.
  [[nodiscard]] virtual bool hold_recipients(std::uint64_t octets) = 0;
  // So many of these octets are free again; all of them at the latest when the transaction is over.
  virtual void free_recipients(std::uint64_t octets) = 0;

  // A place for a body of about `octets` (0: not known), and for so many copies at most. ->
  // on_body_ready() or on_body_refused(). The latter may come behind the former, too, unasked, as
  // long as the session has the body, that is until drop_body() or start_delivery(): its place was
  // needed for others. Refused, the body is gone: it is not appended to, dropped or delivered.
  virtual void start_body(std::uint64_t id, std::uint64_t octets, std::size_t copies) = 0;
  // Adds to the body. False: it was taken, but no more until on_body_ready(), or on_body_refused().
  [[nodiscard]] virtual bool append_body(std::uint64_t id, std::string_view octets) = 0;
  // Frees it, whether its place was had yet or not.
  virtual void drop_body(std::uint64_t id) = 0;

  // Takes the body over and delivers a copy to each mailbox. -> on_copy_done(), once per copy, in
  // any order; `id` is the body's.
  virtual void start_delivery(std::uint64_t id, std::vector<Copy> copies) = 0;

  // It happened once more.
  virtual void count(Counter counter) = 0;
  // One line of the log, without ident and process id.
  virtual void log(std::string_view line) = 0;
};

class Session {
 public:
  // `id` stands first in each of the session's log lines and in Received. The backend outlives the
  // session.
  Session(const Settings& settings, std::string id, Peer peer, Backend& backend);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  // Takes octets from the client, and returns how many it consumed. Fewer than offered: it waits
  // for a completion (or the end, or its output to be taken); offer the rest again after that. An
  // incomplete command line is consumed into the session's own bounded buffer.
  [[nodiscard]] std::size_t consume(std::string_view octets);

  // A command that came with those before it waits for them, and its client for its reply: theirs
  // may leave together with it (RFC 2920 3.2). Not those of many recipients, which may take long.
  [[nodiscard]] bool replies_may_wait() const;
  // Replies so far, taken away by the caller. consume() stops while over 64 KiB has not been
  // taken; what is owed to the RCPTs of one message, or behind it, comes in any case.
  [[nodiscard]] std::string take_output();
  // As consume() says: would it take octets now?
  [[nodiscard]] bool wants_input() const;
  // What it is at comes to nothing without more octets, whether it would take them now or waits for
  // room for them.
  [[nodiscard]] bool needs_input() const;
  // 220 was said to STARTTLS, or TLS comes first (inets): send the output, throw away what the
  // client has sent so far, shake hands, and say on_tls() or on_tls_failed(). Until then the
  // session takes no input.
  [[nodiscard]] bool wants_tls() const;
  // All that follows in both directions is protected. The session begins anew (RFC 3207 4.2).
  void on_tls(TlsFacts facts);
  // A failed handshake ends it, without another word: there is no way back to plain text. Later it
  // is only logged; its owner has lost the client.
  void on_tls_failed(std::string_view why);

  // 221 or 421 was said, or a rule broken: send the output, then close.
  [[nodiscard]] bool closing() const;

  // When on_deadline() is due.
  [[nodiscard]] Clock::time_point deadline() const;
  void on_deadline();
  // 421 4.3.2: at once between transactions, else after the transaction's last reply (RFC
  // 5321 3.8). Who has only come in has a second to begin his first message: a 421 in a new session
  // is taken for the whole destination's, and the mail is deferred.
  void shut_down();
  // 421 4.3.2 at once, behind which nothing is owed: its owner has no room for one that has sent no
  // mail. A handshake ends without a word.
  void turn_away();

  void on_resolved(std::uint64_t id, Result<std::vector<Mailbox>> mailboxes);
  void on_auth_step(AuthStep step);
  void on_body_ready(std::uint64_t id);
  void on_body_refused(std::uint64_t id, const Error& error);
  // `copy` is the index in start_delivery()'s list.
  void on_copy_done(std::uint64_t id, std::size_t copy, Result<void> outcome);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace lmtpd::session
