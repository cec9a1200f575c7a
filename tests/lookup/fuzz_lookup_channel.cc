// Lookup, one of whose frontends was taken over: what comes on its channel, as hostile_packets.h
// has it, against a model of the rules in lookup/frontend_link.h and messages.h.
//
// What breaks them ends the channel and nothing else. What keeps them is answered: a question once,
// and by a mailbox only where the tables have one; a worker is started for a ticket of ours alone.
// The fuzzer cannot make a ticket: it is given one where it sends an empty one. What SASL exchanges
// come to is fuzz_auth's; here no more is said of them than was asked for, but that one is given
// up, and no more are under way than may be.
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "tests/base/hostile_packets.h"
#include "tests/lookup/role_site.h"

namespace {

using namespace lmtpd;
using namespace lmtpd::lookup;
using namespace lmtpd::testing;

constexpr MailboxOwner kOwner{Uid(1001), Gid(1002)};
constexpr Key kKey{7};
constexpr std::uint32_t kHonest = 1;
constexpr std::ptrdiff_t kAuthWindowHere = 3;  // that an input comes to

class Site : public RoleSite {
 public:
  Site()
      : RoleSite(
            kKey, {"SCRAM-SHA-256", "PLAIN", "LOGIN"},
            [](const StoredPassword&, std::string_view) { return false; }, kAuthWindowHere) {
    alias_.add("both@d.org", "u@d.org,v@d.org");
    alias_.add("loop@d.org", "loop@d.org");
    mailbox_.add("u@d.org", "d.org/u/");
    mailbox_.add("v@d.org", "d.org/v/");
    for (const char* address : {"u@d.org", "v@d.org"}) {
      uid_.add(address, "1001");
      gid_.add(address, "1002");
    }
  }
};

// What the rules make of the channel.
class Model {
  struct Exchange {
    int steps = 0;  // that may come
    bool is_over = false;
    bool is_ended = false;  // by the frontend
  };

 public:
  // False: a rule is broken.
  bool take(const HostileFrame& frame) {
    if (frame.descriptors > 0) return false;
    switch (static_cast<MessageType>(frame.type)) {
      case MessageType::resolve:
        if (const auto message = decode<Resolve>(frame.payload)) {
          ++unanswered_[message->id];
          return true;
        }
        return false;
      case MessageType::want_worker:
        if (const auto message = decode<WantWorker>(frame.payload)) {
          if (message->ticket.empty()) ++workers_;
          return message->ticket.empty();
        }
        return false;
      case MessageType::authenticate:
        if (const auto message = decode<Authenticate>(frame.payload)) {
          if (message->id <= last_id_) return false;
          last_id_ = message->id;
          exchanges_[last_id_].steps = 1;
          return true;
        }
        return false;
      // What of these is due depends on what came of the exchange so far.
      case MessageType::auth_response:
        if (const auto message = decode<AuthResponse>(frame.payload)) {
          if (message->id > last_id_) return false;
          if (exchanges_.contains(message->id)) ++exchanges_[message->id].steps;
          is_sure_ = false;
          return true;
        }
        return false;
      case MessageType::auth_end:
        if (const auto message = decode<AuthEnd>(frame.payload)) {
          if (exchanges_.contains(message->id)) exchanges_[message->id].is_ended = true;
          return true;
        }
        return false;
      default:
        return false;
    }
  }

  void take_answer(const Frame& frame) {
    if (const auto message = decode<Resolved>(frame.payload);
        message && static_cast<MessageType>(frame.type) == MessageType::resolved) {
      must(!message->goes_on && unanswered_[message->id]-- > 0);
      for (const Target& target : message->targets) {
        const auto ticket = open_ticket_as_maker(kKey, target.ticket, Clock::now());
        must(ticket && ticket->owner == kOwner);
        must(ticket->path.value() == "d.org/u" || ticket->path.value() == "d.org/v");
      }
      return;
    }
    const auto step = decode<AuthStep>(frame.payload);
    must(static_cast<MessageType>(frame.type) == MessageType::auth_step && step);
    const auto exchange = exchanges_.find(step->id);
    must(exchange != exchanges_.end() && !exchange->second.is_over);
    const auto kind = static_cast<AuthStep::Kind>(step->kind);
    must(kind != AuthStep::Kind::accepted);
    exchange->second.is_over = kind != AuthStep::Kind::challenge;
    // It may be given up at any time.
    if (kind != AuthStep::Kind::unavailable) must(exchange->second.steps-- > 0);
  }

  [[nodiscard]] std::ptrdiff_t exchanges_under_way() const {
    return std::ranges::count_if(
        exchanges_, [](const auto& item) { return !item.second.is_over && !item.second.is_ended; });
  }
  [[nodiscard]] bool is_sure() const { return is_sure_; }
  [[nodiscard]] std::size_t workers() const { return workers_; }
  [[nodiscard]] bool all_answered() const {
    return std::ranges::all_of(unanswered_, [](const auto& item) { return item.second == 0; });
  }

 private:
  std::map<std::uint64_t, int> unanswered_;  // questions
  std::map<std::uint64_t, Exchange> exchanges_;
  std::uint64_t last_id_ = 0;
  std::size_t workers_ = 0;
  bool is_sure_ = true;
};

HostilePacket with_tickets(HostilePacket packet, const std::string& ticket) {
  for (HostileFrame& frame : packet.frames) {
    if (static_cast<MessageType>(frame.type) != MessageType::want_worker) continue;
    const auto message = decode<WantWorker>(frame.payload);
    if (message && message->ticket.empty()) frame.payload = encode(WantWorker{ticket});
  }
  return packet;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  keep_log_silent();
  static const std::string ticket = seal_ticket(
      kKey, {kOwner, *MailboxPath::parse("d.org/u/"), Clock::now() + std::chrono::hours(24 * 365)});
  static Site site;
  Channel honest(site.introduce(kHonest));
  Channel hostile(site.introduce(0));
  must(site.workers_wanted().empty());

  Model model;
  Packet packet;
  bool keeps_rules = true;
  bool is_closed = false;
  for (const HostilePacket& each : hostile_packets({reinterpret_cast<const char*>(data), size})) {
    if (each.lies) keeps_rules = false;
    for (const HostileFrame& frame : each.frames) keeps_rules = keeps_rules && model.take(frame);
    send_packet(hostile.fd(), with_tickets(each, ticket), 0);
    site.turn();
    Channel::Status status{};
    while ((status = hostile.receive(packet)) == Channel::Status::ok) {
      for (const Frame& frame : packet.frames()) model.take_answer(frame);
    }
    is_closed = status == Channel::Status::closed;
    if (is_closed || !keeps_rules) break;
    must(model.exchanges_under_way() <= kAuthWindowHere);
  }
  must(keeps_rules ? !is_closed || !model.is_sure() : is_closed);
  if (keeps_rules && !is_closed) must(model.all_answered());
  const std::vector<StartWorker> wanted = site.workers_wanted();
  must(wanted.size() == model.workers() || !model.is_sure());
  for (const StartWorker& each : wanted) must(each.owner == kOwner && each.frontend == 0);

  // The other frontend is none the worse.
  honest.send(Resolve{77, "both@d.org"});
  must(honest.flush() == Channel::Status::ok);
  site.turn();
  must(honest.receive(packet) == Channel::Status::ok && packet.frames().size() == 1);
  const auto answer = decode<Resolved>(packet.frames()[0].payload);
  must(answer && answer->id == 77 && answer->targets.size() == 2);
  return 0;
}
