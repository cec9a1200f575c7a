// A frontend, of which a worker (the first octet is even) or lookup (it is odd) was taken over:
// what comes on that channel, as hostile_packets.h has it, against a model of the rules in
// messages.h.
//
// What breaks them ends the channel, and has the worker expelled, as has silence. Whatever comes,
// each copy and each recipient is answered once: as the channel said while it kept the rules, else
// with a failure. And what a peer says of a failure goes into a reply as one clean line.
#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "lmtpd/event/event_ptr.h"
#include "lmtpd/frontend/deliveries.h"
#include "lmtpd/frontend/lookup_link.h"
#include "lmtpd/session/reply.h"
#include "tests/base/hostile_packets.h"

namespace {

using namespace lmtpd;
using namespace lmtpd::frontend;
using namespace lmtpd::testing;

constexpr MailboxOwner kOwner{Uid(1001), Gid(1001)};

event_base* base() {
  static const EventBasePtr made{event_base_new()};
  return made.get();
}

// Runs what is due now, until nothing is.
void turn() {
  for (int i = 0; i < 4; ++i) event_base_loop(base(), EVLOOP_NONBLOCK);
}

const std::string& ticket() {
  static const std::string made =
      seal_ticket(Key{7}, {kOwner, *MailboxPath::parse("d.org/u/"), Clock::now()});
  return made;
}

void must_be_sayable(const Error& error) {
  const std::string line = session::reply_line(session::reply_to(error, false));
  must(line.size() >= 4 && line.size() <= 510 && (line[0] == '4' || line[0] == '5'));
  must(std::ranges::all_of(line, [](char c) { return c >= 0x20 && c < 0x7F; }));
}

// A peer's end: sends what the input says, as long as somebody reads it.
class Peer {
 public:
  UniqueFd open() {
    auto pair = make_channel_pair();
    channel_.emplace(std::move(pair->first));
    return std::move(pair->second);
  }
  void close() { channel_.reset(); }
  // Until the frontend closes the channel, which it does where the model, `take`, says so, and
  // where a packet does not add up. True: none but the latter is to blame.
  bool play(const std::vector<HostilePacket>& packets, auto&& take) {
    bool keeps_rules = true;
    for (const HostilePacket& packet : packets) {
      if (!packet.lies) {
        for (const HostileFrame& frame : packet.frames) keeps_rules = keeps_rules && take(frame);
      }
      send_packet(channel_->fd(), packet, 0);
      turn();
      const bool is_over = packet.lies || !keeps_rules;
      must(is_open() != is_over);
      if (is_over) break;
    }
    return keeps_rules;
  }

 private:
  bool is_open() {
    Channel::Status status{};
    while ((status = channel_->receive(packet_)) == Channel::Status::ok) {
    }
    return status == Channel::Status::would_block;
  }

  std::optional<Channel> channel_;
  Packet packet_;
};

// ---- a worker

class WorkerChannel final : private Deliveries::Sender {
 public:
  void play(const std::vector<HostilePacket>& packets) {
    start(1, 2);
    start(2, 1);
    deliveries_.introduce(kOwner, peer_.open());
    turn();
    const bool keeps_rules = peer_.play(packets, [this](const auto& frame) { return take(frame); });
    must(expelled_ == (keeps_rules ? 0 : 1));
    const bool owes = !deliveries_.none();
    deliveries_.expire(Clock::now() + Deliveries::kDeadline, false);
    must(expelled_ == (keeps_rules && !owes ? 0 : 1));
    peer_.close();
    turn();
    must(done_ == kCopies && messages_done_ == 2 && deliveries_.none());
    must(said_.empty());
  }

 private:
  static constexpr std::size_t kCopies = 3;

  void start(std::uint64_t connection, std::size_t copies) {
    Body body;
    must(body.append("body\n").has_value());
    deliveries_.start({connection, 1}, std::move(body),
                      std::vector<session::Copy>(copies, {ticket(), "H: x\n", 99}));
  }

  // The frontend numbers deliveries from 1 on.
  bool take(const HostileFrame& frame) {
    if (static_cast<MessageType>(frame.type) == MessageType::leaving) {
      return decode<Leaving>(frame.payload) && !std::exchange(leaving_, true);
    }
    const auto outcome = static_cast<MessageType>(frame.type) == MessageType::outcome
                             ? decode<Outcome>(frame.payload)
                             : std::nullopt;
    if (!outcome || outcome->id == 0 || outcome->id > kCopies) return false;
    if (std::exchange(answered_[outcome->id], true)) return false;
    Result<void> said;
    if (!outcome->stored) said = fail(outcome->reason, std::string(outcome->text));
    said_.push_back(std::move(said));
    return true;
  }

  void on_copy_done(const MessageName&, std::size_t, Result<void> outcome) override {
    ++done_;
    if (!outcome) must_be_sayable(outcome.error());
    if (said_.empty()) {
      must(!outcome);  // not said, so not stored
      return;
    }
    must(outcome.has_value() == said_.front().has_value());
    if (!outcome) {
      must(outcome.error().reason == said_.front().error().reason);
      must(outcome.error().text == said_.front().error().text);
    }
    said_.erase(said_.begin());
  }
  void on_message_done(const MessageName&) override { ++messages_done_; }
  bool want_worker(std::string_view) override { return true; }
  void expel_worker(MailboxOwner owner) override {
    must(owner == kOwner);
    ++expelled_;
  }
  void count(Counter) override {}

  Peer peer_;
  Deliveries deliveries_{base(), *this, 1 << 20};
  std::map<std::uint64_t, bool> answered_;
  std::vector<Result<void>> said_;  // and not yet told
  bool leaving_ = false;
  std::size_t done_ = 0;
  int messages_done_ = 0;
  int expelled_ = 0;
};

// ---- lookup

class LookupChannel final : private LookupLink::Asker {
 public:
  void play(const std::vector<HostilePacket>& packets) {
    link_.connect(peer_.open());
    for (std::uint64_t request = 1; request <= kRequests; ++request) {
      link_.resolve(7, request, "uid 1", "u@d.org");
      unanswered_.insert(request);
    }
    link_.begin_auth(kConnection, {"192.0.2.1", "PLAIN", std::nullopt});
    turn();
    static_cast<void>(peer_.play(packets, [this](const auto& frame) { return take(frame); }));
    peer_.close();
    turn();
    must(answered_.size() == kRequests && lost_ == 1);
    // Given up or lost while its client had the turn, it is over at the client's response.
    if (exchange_ == Exchange::clients_turn) {
      exchange_ = Exchange::lookups_turn;
      said_ = Exchange::lookups_turn;
      link_.respond_auth(kConnection, "x");
      link_.expire(Clock::now());
    }
    must(exchange_ == Exchange::over);
  }

 private:
  static constexpr std::uint64_t kRequests = 3;
  static constexpr std::uint64_t kConnection = 9;
  enum class Exchange { lookups_turn, clients_turn, over };

  // The frontend numbers requests, and exchanges, from 1 on.
  bool take(const HostileFrame& frame) {
    switch (static_cast<MessageType>(frame.type)) {
      case MessageType::resolved: {
        const auto message = decode<Resolved>(frame.payload);
        if (!message || !unanswered_.contains(message->id)) return false;
        if (!message->goes_on) unanswered_.erase(message->id);
        return true;
      }
      case MessageType::auth_step: {
        const auto message = decode<AuthStep>(frame.payload);
        if (!message || message->id != 1) return false;
        if (said_ == Exchange::over) return true;  // it is late
        const auto kind = static_cast<AuthStep::Kind>(message->kind);
        if (kind > AuthStep::Kind::unavailable) return false;
        if (said_ == Exchange::clients_turn && kind != AuthStep::Kind::unavailable) return false;
        said_ = kind == AuthStep::Kind::challenge ? Exchange::clients_turn : Exchange::over;
        return true;
      }
      default:
        return false;
    }
  }

  void on_resolved(std::uint64_t connection, std::uint64_t request,
                   Result<std::vector<session::Mailbox>> mailboxes) override {
    must(connection == 7 && request >= 1 && request <= kRequests);
    must(!std::exchange(answered_[request], true));
    if (!mailboxes) return must_be_sayable(mailboxes.error());
    must(!mailboxes->empty());
    for (const session::Mailbox& mailbox : *mailboxes) {
      must(read_ticket(mailbox.ticket)->path.value() == mailbox.path);
    }
  }
  void on_auth_step(std::uint64_t connection, session::AuthStep step) override {
    must(connection == kConnection && exchange_ == Exchange::lookups_turn);
    exchange_ =
        step.kind == session::AuthStep::Kind::challenge ? Exchange::clients_turn : Exchange::over;
    // Nobody is who he says but by lookup's word.
    if (step.kind == session::AuthStep::Kind::accepted) must(said_ == Exchange::over);
  }
  void on_lookup_lost() override { ++lost_; }
  void count(Counter) override {}

  Peer peer_;
  LookupLink link_{base(), *this};
  std::map<std::uint64_t, bool> answered_;
  std::set<std::uint64_t> unanswered_;          // by lookup, as the model has it
  Exchange exchange_ = Exchange::lookups_turn;  // as the frontend was told
  Exchange said_ = Exchange::lookups_turn;      // by the model
  int lost_ = 0;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  keep_log_silent();
  if (size == 0) return 0;
  const std::vector<HostilePacket> packets =
      hostile_packets({reinterpret_cast<const char*>(data) + 1, size - 1});
  if (data[0] % 2 == 0) {
    WorkerChannel().play(packets);
  } else {
    LookupChannel().play(packets);
  }
  return 0;
}
