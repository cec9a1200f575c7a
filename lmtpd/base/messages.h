// lmtpd/base/messages.h -- every message that two roles exchange, and who may send which to whom.
//
// A role that receives a message it does not expect from that peer, or one that does not decode,
// closes the channel. String views in a decoded message live as long as the packet.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "lmtpd/base/result.h"
#include "lmtpd/base/sasl.h"
#include "lmtpd/base/ticket.h"
#include "lmtpd/base/types.h"
#include "lmtpd/base/wire.h"

namespace lmtpd {

// What a field may have, in octets, wherever one role takes it from another that is less trusted
// (but for a message's own text, which Channel::kMaxPayload bounds): a longer one does not decode.
// A text that is longer is cut where it is sent.
inline constexpr std::size_t kLongestText = 4096;                  // why something failed
inline constexpr std::size_t kLongestAddress = 4096;               // of mail, folded and quoted
inline constexpr std::size_t kLongestTicket = 4200;                // ticket.h
inline constexpr std::size_t kLongestClientAddress = 64;           // numeric, or a word
inline constexpr std::size_t kLongestSaslMessage = 12288 / 4 * 3;  // 12288 in base64 (RFC 4954 4)

enum class MessageType : std::uint16_t {
  // master -> any role
  configure = 1,
  file,
  listener,
  counter_page,
  shared_sync,
  file_system_to_sync,
  start,
  introduce,
  stop,
  // master -> frontend, lookup
  serve,
  // master -> lookup
  retire,
  // any role -> master
  ready,
  // lookup -> master
  start_worker,
  // master -> frontend
  worker_refused,
  // frontend -> master
  expel_worker,
  want_lookup,
  // worker -> master and back
  make_mailbox,
  mailbox_made,
  // frontend -> lookup and back
  resolve,
  want_worker,
  resolved,
  authenticate,
  auth_response,
  auth_end,
  auth_step,
  // frontend -> worker and back
  deliver,
  left,
  outcome,
  leaving,
};

// ---- master -> any role: Configure, then File, Listener, SharedSyncOf and FileSystemToSync as
// often as needed, CounterPage where the role counts or shows what is counted, then Start.

struct Configure {
  static constexpr MessageType kType = MessageType::configure;
  std::string_view parameters;  // Parameters::serialise()
  std::uint32_t instance = 0;   // which of the frontends
  MailboxOwner owner;           // whom the role becomes
  Key key{};                    // lookup: the ticket key; a worker: the key derived for its owner
  // lmtpd -t: what is found goes to standard error, and lookup's Ready means that every database
  // took its query.
  bool check_only = false;
  static void fields(auto& self, auto&& field) {
    field(self.parameters, self.instance, self.owner, self.key, self.check_only);
  }
};

// One file that the role needs and cannot open itself; one descriptor, open for reading.
struct File {
  static constexpr MessageType kType = MessageType::file;
  std::string_view path;  // as the configuration names it
  static void fields(auto& self, auto&& field) { field(self.path); }
};

// One listening socket; one descriptor.
struct Listener {
  static constexpr MessageType kType = MessageType::listener;
  std::uint32_t index = 0;  // in the parameter's list
  static void fields(auto& self, auto&& field) { field(self.index); }
};

// The memory of counters.h; one descriptor, lookup's for reading, for writing a frontend's and the
// committer's.
struct CounterPage {
  static constexpr MessageType kType = MessageType::counter_page;
  static void fields(auto&, auto&&) {}
};

// A worker's: a file system with a shared sync (shared_sync.h); descriptors: the page, to read, and
// the bell, to ring.
struct SharedSyncOf {
  static constexpr MessageType kType = MessageType::shared_sync;
  std::uint64_t device = 0;  // st_dev
  static void fields(auto& self, auto&& field) { field(self.device); }
};

// The committer's: the same; descriptors: the page, to write, the bell, to read, and the file
// system's root.
struct FileSystemToSync {
  static constexpr MessageType kType = MessageType::file_system_to_sync;
  std::string_view path;  // where it is mounted, for the log
  static void fields(auto& self, auto&& field) { field(self.path); }
};

struct Start {
  static constexpr MessageType kType = MessageType::start;
  static void fields(auto&, auto&&) {}
};

enum class PeerKind : std::uint8_t { frontend, lookup, worker };

// A channel to another role; one descriptor. A second one for the same peer replaces the first: the
// peer was restarted, or the first has ended. Between a frontend and a worker it may be that the
// frontend asked twice, as lookup died in between: what was sent on the first is answered on it.
struct Introduce {
  static constexpr MessageType kType = MessageType::introduce;
  std::uint8_t kind = 0;       // PeerKind
  std::uint32_t instance = 0;  // which of the frontends
  MailboxOwner owner;          // a worker's
  static void fields(auto& self, auto&& field) { field(self.kind, self.instance, self.owner); }
};

// End in order: a frontend answers the transactions under way, a worker takes its leave (Leaving),
// and then the role exits with status 0.
struct Stop {
  static constexpr MessageType kType = MessageType::stop;
  static void fields(auto&, auto&&) {}
};

// ---- master -> frontend, lookup

// Take connections from now on: the configuration is in effect, and those of the role's peers that
// run are introduced. Sent once to each process, after its Ready, and never where it is a check's,
// a refused reload's, or started again while its generation ends.
struct Serve {
  static constexpr MessageType kType = MessageType::serve;
  static void fields(auto&, auto&&) {}
};

// ---- master -> lookup

// Another lookup answers Postfix from now on, by a newer configuration: take no more of its
// connections, and end each of those that are there once what it has asked is answered. The
// frontends' go on until Stop.
struct Retire {
  static constexpr MessageType kType = MessageType::retire;
  static void fields(auto&, auto&&) {}
};

// ---- role -> master

// The role has confined itself, and can serve.
struct Ready {
  static constexpr MessageType kType = MessageType::ready;
  static void fields(auto&, auto&&) {}
};

// lookup, for a frontend that showed a valid ticket: introduce this owner's worker to that
// frontend.
struct StartWorker {
  static constexpr MessageType kType = MessageType::start_worker;
  std::uint32_t frontend = 0;
  MailboxOwner owner;
  static void fields(auto& self, auto&& field) { field(self.frontend, self.owner); }
};

// master, in place of Introduce: there is no worker for this owner now.
struct WorkerRefused {
  static constexpr MessageType kType = MessageType::worker_refused;
  MailboxOwner owner;
  Reason reason = Reason::io;
  std::string_view text;
  static void fields(auto& self, auto&& field) {
    field(self.owner, self.reason, cut_to<kLongestText>(self.text));
  }
};

// frontend: this worker broke the rules of its channel, or has said nothing for long; master ends
// it. One that was not introduced to this frontend is left alone: this may have crossed the end of
// the one that is meant, and the start of another.
struct ExpelWorker {
  static constexpr MessageType kType = MessageType::expel_worker;
  MailboxOwner owner;
  static void fields(auto& self, auto&& field) { field(self.owner); }
};

// frontend: it had a channel to lookup, which has ended. Said once a second until Introduce brings
// another, which is for master to time; where lookup died, it comes with the next one.
struct WantLookup {
  static constexpr MessageType kType = MessageType::want_lookup;
  static void fields(auto&, auto&&) {}
};

// worker: make the mailbox that this ticket names, which master verifies as its maker. At most
// kDeliveryWindow are unanswered.
struct MakeMailbox {
  static constexpr MessageType kType = MessageType::make_mailbox;
  std::uint64_t id = 0;
  std::string_view ticket;
  static void fields(auto& self, auto&& field) {
    field(self.id, at_most<kLongestTicket>(self.ticket));
  }
};

// The answer. `made`: the mailbox is there, and durable up to the base.
struct MailboxMade {
  static constexpr MessageType kType = MessageType::mailbox_made;
  std::uint64_t id = 0;
  bool made = false;
  Reason reason = Reason::io;  // where not made
  std::string_view text;
  static void fields(auto& self, auto&& field) {
    field(self.id, self.made, self.reason, cut_to<kLongestText>(self.text));
  }
};

// ---- frontend <-> lookup

struct Resolve {
  static constexpr MessageType kType = MessageType::resolve;
  std::uint64_t id = 0;  // the frontend's; at most kResolveWindow that lookup has not answered
  std::string_view address;
  static void fields(auto& self, auto&& field) {
    field(self.id, at_most<kLongestAddress>(self.address));
  }
};
inline constexpr std::size_t kResolveWindow = 4096;

// One mailbox of a recipient.
struct Target {
  std::string_view ticket;
  std::string_view delivered_to;  // the final address (Delivered-To)
  static void fields(auto& self, auto&& field) {
    field(at_most<kLongestTicket>(self.ticket), at_most<kLongestAddress>(self.delivered_to));
  }
};

// More mailboxes than a message holds come in several messages, in order.
struct Resolved {
  static constexpr MessageType kType = MessageType::resolved;
  std::uint64_t id = 0;
  std::vector<Target> targets;            // one at least, or none and:
  Reason reason = Reason::lookup_failed;  // why
  std::string_view text;
  bool goes_on = false;  // the next message of this id has further targets
  static void fields(auto& self, auto&& field) {
    field(self.id, self.targets, self.reason, cut_to<kLongestText>(self.text), self.goes_on);
  }
};

// Have the worker of this ticket's owner introduced. Answered by master: Introduce or
// WorkerRefused.
struct WantWorker {
  static constexpr MessageType kType = MessageType::want_worker;
  std::string_view ticket;
  static void fields(auto& self, auto&& field) { field(at_most<kLongestTicket>(self.ticket)); }
};

// A SASL exchange begins; answered by AuthStep. Where kAuthWindow of the frontend's are under way,
// one of them is given up for it, or it is itself. One that is ended counts until a table has
// answered what it was asked for it, or its hash is computed.
struct Authenticate {
  static constexpr MessageType kType = MessageType::authenticate;
  std::uint64_t id = 0;        // the frontend's, from 1 on; each above those before
  std::string_view address;    // the client's, numeric, or a word for the kind of its socket
  std::string_view mechanism;  // in capitals
  bool has_response = false;   // an initial one
  std::string_view response;   // octets, as are all that follow
  static void fields(auto& self, auto&& field) {
    field(self.id, at_most<kLongestClientAddress>(self.address),
          at_most<kLongestMechanism>(self.mechanism), self.has_response,
          at_most<kLongestSaslMessage>(self.response));
  }
};
inline constexpr std::size_t kAuthWindow = 1024;

// The client's answer to a challenge; answered by AuthStep, or crossed by it.
struct AuthResponse {
  static constexpr MessageType kType = MessageType::auth_response;
  std::uint64_t id = 0;
  std::string_view response;
  static void fields(auto& self, auto&& field) {
    field(self.id, at_most<kLongestSaslMessage>(self.response));
  }
};

// The client cancelled the exchange, or is gone. Not answered, but an AuthStep may be on its way.
struct AuthEnd {
  static constexpr MessageType kType = MessageType::auth_end;
  std::uint64_t id = 0;
  static void fields(auto& self, auto&& field) { field(self.id); }
};

// What comes next in the exchange. But for a challenge, it is over. `unavailable` may come while
// the client's answer is due.
struct AuthStep {
  static constexpr MessageType kType = MessageType::auth_step;
  enum class Kind : std::uint8_t { challenge, accepted, refused, unavailable };
  std::uint64_t id = 0;
  std::uint8_t kind = 0;  // Kind
  std::string_view text;  // challenge: its octets; accepted: the user's name
  static void fields(auto& self, auto&& field) {
    field(self.id, self.kind, at_most<kLongestSaslMessage>(self.text));
  }
};

// ---- frontend <-> worker

// One mailbox that the message goes to.
struct Delivery {
  std::uint64_t id = 0;  // the frontend's; at most kDeliveryWindow unanswered on a channel
  std::string_view ticket;
  std::string_view headers;     // what stands in this copy before the body
  std::uint64_t wire_size = 0;  // octets of headers and body with every line end as CRLF (the W= of
                                // the file name)
  static void fields(auto& self, auto&& field) {
    field(self.id, at_most<kLongestTicket>(self.ticket), self.headers, self.wire_size);
  }
};

// One message, once, for one or more mailboxes of the worker's owner. No descriptor: `body` is the
// body. One descriptor: a memfd with all four seals holds it, and `body` is empty.
struct Deliver {
  static constexpr MessageType kType = MessageType::deliver;
  std::vector<Delivery> deliveries;
  std::string_view body;
  std::uint64_t body_size = 0;  // octets, in either form
  bool alone = false;           // one delivery, and the frontend has nothing else under way
  static void fields(auto& self, auto&& field) {
    field(self.deliveries, self.body, self.body_size, self.alone);
  }
};
inline constexpr std::size_t kInlineBody = 64 * 1024;  // octets; beyond: a memfd
inline constexpr std::size_t kDeliveryWindow = 64;     // deliveries unanswered on a channel
// Deliver messages with a memfd, of which a delivery is unanswered, on a channel.
inline constexpr std::size_t kDescriptorWindow = 16;

// Stored: on disk, published and proven. Else why not.
struct Outcome {
  static constexpr MessageType kType = MessageType::outcome;
  std::uint64_t id = 0;
  bool stored = false;
  Reason reason = Reason::io;  // where not stored
  std::string_view text;
  static void fields(auto& self, auto&& field) {
    field(self.id, self.stored, self.reason, cut_to<kLongestText>(self.text));
  }
};

// worker: send nothing more. It answers what is under way, reads on until Left, and exits.
struct Leaving {
  static constexpr MessageType kType = MessageType::leaving;
  static void fields(auto&, auto&&) {}
};

// frontend: nothing follows on this channel.
struct Left {
  static constexpr MessageType kType = MessageType::left;
  static void fields(auto&, auto&&) {}
};

}  // namespace lmtpd
