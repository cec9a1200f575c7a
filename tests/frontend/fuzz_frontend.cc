// A whole frontend: clients, lookup, workers and master do as the input says, in any order, each on
// a real socket. A step is an octet (its lower half what, its upper half who), and where the table
// at play() says so, one more.
//
// For each "Stored" that a client is told, a worker stored a copy of that message; a worker is sent
// what is its owner's; and once all clients have left and all is answered, the frontend that master
// stops has nothing left to wait for.
#include <sys/socket.h>

#include <array>
#include <deque>
#include <map>

#include "lmtpd/base/shared_memory.h"
#include "lmtpd/event/event_ptr.h"
#include "lmtpd/frontend/frontend.h"
#include "tests/base/hostile_packets.h"
#include "tests/base/unix_listener.h"

namespace {

using namespace lmtpd;
using namespace lmtpd::frontend;
using namespace lmtpd::testing;
using std::string_view_literals::operator""sv;

constexpr std::size_t kClients = 4;
constexpr std::size_t kOwners = 2;
constexpr std::array<MailboxOwner, kOwners> kOwner{
    {{Uid(1001), Gid(1001)}, {Uid(1002), Gid(1002)}}};

// What a client says, but for the octets that the input makes up.
const std::string& phrase(std::size_t number) {
  static const std::string big(Spool::kSmall, 'x');
  static const std::array<std::string, 16> all{
      "LHLO a\r\n",
      "MAIL FROM:<s@y.org>\r\n",
      "RCPT TO:<a@x.org>\r\n",
      "RCPT TO:<b@x.org>\r\nRCPT TO:<c@x.org>\r\n",
      "DATA\r\n",
      "Subject: s\r\n\r\nbody\r\n.\r\n",
      "BDAT 6\r\nS: s\r\n",
      "BDAT 4 LAST\r\n\r\nb\n",
      "BDAT 131072 LAST\r\n" + big,
      "Subject: s\r\n\r\n" + big,
      "\r\n.\r\n",
      "RSET\r\n",
      "AUTH SCRAM-SHA-256 eA==\r\n",
      "eA==\r\n",
      "MAIL FROM:<s@y.org> SIZE=200000\r\nRCPT TO:<a@x.org>\r\nDATA\r\n",
      "QUIT\r\n"};
  return all[number % all.size()];
}

class Run {
 public:
  Run() {
    auto control = make_channel_pair();
    master_.emplace(std::move(control->first));
    Settings settings;
    settings.myhostname = "mx.test";
    settings.spool_limit = 1 << 20;
    settings.message_size_limit = 300'000;
    settings.recipient_limit = 3;
    settings.connection_limit = 3;
    settings.client_connection_limit = 3;
    settings.junk_command_limit = 20;
    settings.auth_mechanisms = {"SCRAM-SHA-256"};
    settings.auth_password_maps.resize(1);
    std::vector<RoleStart::Listening> listening_on;
    for (std::uint32_t i = 0; i < doors_.size(); ++i) {
      ListenSpec spec;
      if (i == 1) spec.kind = ListenSpec::Kind::inet;  // its clients are strangers
      settings.listen.push_back(spec);
      listening_on.push_back({i, doors_[i].open(kClients)});
      must(static_cast<bool>(listening_on.back().socket));
    }
    frontend_.emplace(base_.get(), settings, *NetworkList::make({}), std::nullopt, 0,
                      *Counters::map(counters()), Channel(std::move(control->second)),
                      std::move(listening_on));
    introduce_lookup();
    send(*master_, Serve{});
  }

  void play(std::string_view input) {
    while (!input.empty() && !is_over()) {
      const auto take = [&] {
        const auto octet = input.empty() ? 0 : static_cast<std::uint8_t>(input[0]);
        if (!input.empty()) input.remove_prefix(1);
        return static_cast<std::size_t>(octet);
      };
      const std::size_t step = take();
      const std::size_t who = step >> 4U;
      Client& client = clients_[who % kClients];
      Worker& worker = workers_[who % kOwners];
      switch (step & 15U) {
        case 0:
          client = {doors_[who / kClients % doors_.size()].connect(), {}};
          break;
        case 1:
        case 2:
          say(client, phrase(take()));
          break;
        case 3: {
          const std::size_t asked = take();  // before the size is looked at
          const std::size_t length = std::min(asked, input.size());
          say(client, input.substr(0, length));
          input.remove_prefix(length);
          break;
        }
        case 4:
          hear(client);
          break;
        case 5:
          client.socket.reset();
          break;
        case 6:
          if (client.socket) ::shutdown(client.socket.get(), SHUT_WR);
          break;
        case 7:
        case 8:
          answer_question(who);
          break;
        case 9:
          answer_exchange(who);
          break;
        case 10:
          lookup_.reset();
          turn();
          introduce_lookup();
          break;
        case 11:
          bring_worker(who);
          break;
        case 12:
          answer_delivery(worker, who / kOwners);
          break;
        case 13:
          worker = {};
          break;
        case 14:
          if (worker.channel && !std::exchange(worker.leaving, true))
            send(*worker.channel, Leaving{});
          break;
        default:
          if (who == 15) stop();
          break;
      }
      turn();
    }
  }

  // All goes away, and is answered.
  void end() {
    stop();
    for (int turns = 0; !is_over(); ++turns) {
      for (Client& client : clients_) {
        hear(client);
        client.socket.reset();
      }
      if (!lookup_) introduce_lookup();
      while (!questions_.empty()) answer_question(0);
      while (!exchanges_.empty()) answer_exchange(2);
      for (std::size_t owner = 0; owner < kOwners; ++owner) {
        workers_[owner] = {};
        refuse_worker(owner);  // asked for or not: else it would be, at the next tick
      }
      turn();
      if (turns < 20 || is_over()) continue;
      must(turns < 30);
      event_base_loop(base_.get(), EVLOOP_ONCE);  // a tick may be what is waited for
    }
  }

 private:
  struct Client {
    UniqueFd socket;
    std::string heard;  // the last line, so far
  };
  struct Worker {
    std::optional<Channel> channel;
    std::deque<std::pair<std::uint64_t, std::string>> deliveries;  // unanswered: id, message
    bool leaving = false;
  };

  static const UniqueFd& counters() {
    static const UniqueFd page = *make_shared_memory<CounterNumbers>();
    return page;
  }

  [[nodiscard]] bool is_over() const { return event_base_got_break(base_.get()) != 0; }

  // Runs what is due now; then lookup, master and the workers read what is theirs.
  void turn() {
    for (int i = 0; i < 4 && !is_over(); ++i) event_base_loop(base_.get(), EVLOOP_NONBLOCK);
    receive(master_, [](const Frame& frame) {
      // Where a tick comes while there is no lookup. No worker misbehaves.
      must(static_cast<MessageType>(frame.type) == MessageType::want_lookup);
    });
    receive(lookup_, [this](const Frame& frame) { take_of_lookup(frame); });
    for (std::size_t i = 0; i < kOwners; ++i) {
      receive(workers_[i].channel, [&](const Frame& frame) { take_of_worker(i, frame); });
      if (!workers_[i].channel) workers_[i] = {};
    }
  }

  void receive(std::optional<Channel>& channel, auto&& take) {
    while (channel) {
      const Channel::Status status = channel->receive(packet_);
      if (status == Channel::Status::would_block) return;
      if (status == Channel::Status::closed) return channel.reset();
      for (const Frame& frame : packet_.frames()) take(frame);
    }
  }

  template <class Message>
  static void send(Channel& channel, const Message& message, std::vector<UniqueFd> with = {}) {
    channel.send(message, std::move(with));
    static_cast<void>(channel.flush());
  }

  UniqueFd open(std::optional<Channel>& ours) {
    auto pair = make_channel_pair();
    ours.emplace(std::move(pair->first));
    return std::move(pair->second);
  }

  // ---- master

  void introduce(PeerKind kind, MailboxOwner owner, UniqueFd socket) {
    if (!master_) return;
    std::vector<UniqueFd> with;
    with.push_back(std::move(socket));
    send(*master_, Introduce{.kind = static_cast<std::uint8_t>(kind), .owner = owner},
         std::move(with));
  }

  void introduce_lookup() {
    questions_.clear();
    exchanges_.clear();
    wanted_.clear();
    introduce(PeerKind::lookup, {}, open(lookup_));
  }

  void bring_worker(std::size_t how) {
    if (wanted_.empty()) return;
    const std::size_t owner = wanted_.front();
    wanted_.pop_front();
    if (how % 2 == 1) return refuse_worker(owner);
    workers_[owner] = {};
    introduce(PeerKind::worker, kOwner[owner], open(workers_[owner].channel));
  }

  void refuse_worker(std::size_t owner) {
    send(*master_, WorkerRefused{kOwner[owner], Reason::overload, "too many"});
  }

  void stop() {
    if (!std::exchange(stopped_, true)) send(*master_, Stop{});
  }

  // ---- lookup

  void take_of_lookup(const Frame& frame) {
    switch (static_cast<MessageType>(frame.type)) {
      case MessageType::resolve:
        questions_.push_back(decode<Resolve>(frame.payload)->id);
        must(questions_.size() <= kResolveWindow);
        return;
      case MessageType::authenticate:
        exchanges_.push_back(decode<Authenticate>(frame.payload)->id);
        return;
      case MessageType::auth_response:
        exchanges_.push_back(decode<AuthResponse>(frame.payload)->id);
        return;
      case MessageType::auth_end:
        std::erase(exchanges_, decode<AuthEnd>(frame.payload)->id);
        return;
      case MessageType::want_worker: {
        wanted_.push_back(owners_.at(std::string(decode<WantWorker>(frame.payload)->ticket)));
        return;
      }
      default:
        must(false);
    }
  }

  void answer_question(std::size_t how) {
    if (questions_.empty()) return;
    Resolved answer{.id = questions_.front()};
    questions_.pop_front();
    std::array<std::string, kOwners> tickets;
    for (std::size_t owner = 0; owner < kOwners; ++owner) {
      if ((how >> owner & 1U) == 0) continue;
      tickets[owner] = ticket(owner);
      answer.targets.push_back({tickets[owner], "u@d.org"});
    }
    if (answer.targets.empty()) answer.reason = Reason::lookup_failed;
    send(*lookup_, answer);
  }

  // Of a mailbox of its own, so that each recipient has a copy.
  std::string ticket(std::size_t owner) {
    const std::string path = fmt::format("d.org/{}/", owners_.size());
    std::string made =
        seal_ticket(Key{7}, {kOwner[owner], *MailboxPath::parse(path), Clock::now()});
    owners_.emplace(made, owner);
    return made;
  }

  void answer_exchange(std::size_t kind) {
    if (exchanges_.empty()) return;
    send(*lookup_, AuthStep{.id = exchanges_.front(), .kind = static_cast<std::uint8_t>(kind % 4)});
    exchanges_.pop_front();
  }

  // ---- workers

  void take_of_worker(std::size_t owner, const Frame& frame) {
    if (static_cast<MessageType>(frame.type) == MessageType::left) return;
    const auto message = decode<Deliver>(frame.payload);
    must(static_cast<MessageType>(frame.type) == MessageType::deliver && message);
    must(message->body.empty() || message->body.size() == message->body_size);
    must(message->body_size > kInlineBody || frame.descriptors.empty());
    for (const Delivery& delivery : message->deliveries) {
      must(owners_.at(std::string(delivery.ticket)) == owner);
      must(delivery.headers.starts_with("Return-Path: <"));
      workers_[owner].deliveries.emplace_back(delivery.id, message_of(delivery.headers));
    }
    must(workers_[owner].deliveries.size() <= kDeliveryWindow);
  }

  void answer_delivery(Worker& worker, std::size_t how) {
    if (worker.deliveries.empty()) return;
    const auto [id, message] = worker.deliveries.front();
    worker.deliveries.pop_front();
    if (how % 2 == 1) ++unsaid_[message];
    send(*worker.channel, Outcome{.id = id, .stored = how % 2 == 1});
  }

  // As Received has it, and the reply.
  static std::string message_of(std::string_view headers) {
    const std::size_t at = headers.find(" id ") + 4;
    return std::string(headers.substr(at, headers.find_first_of("; \n", at) - at));
  }

  // ---- clients

  static void say(const Client& client, std::string_view octets) {
    if (!client.socket) return;
    static_cast<void>(::send(client.socket.get(), octets.data(), octets.size(), MSG_NOSIGNAL));
  }

  void hear(Client& client) {
    std::array<char, 4096> octets{};
    while (client.socket) {
      const ssize_t length = ::recv(client.socket.get(), octets.data(), octets.size(), 0);
      if (length <= 0) return;
      client.heard.append(octets.data(), static_cast<std::size_t>(length));
      std::size_t end = 0;
      while ((end = client.heard.find("\r\n")) != std::string::npos) {
        take_reply(client.heard.substr(0, end));
        client.heard.erase(0, end + 2);
      }
    }
  }

  void take_reply(const std::string& line) {
    must(line.size() >= 4 && line[0] >= '2' && line[0] <= '5');
    constexpr auto kStored = "250 2.0.0 Stored, id="sv;
    if (line.starts_with(kStored)) must(unsaid_[line.substr(kStored.size())]-- > 0);
  }

  EventBasePtr base_{event_base_new()};
  std::array<UnixListener, 2> doors_;
  std::optional<Channel> master_;
  std::optional<Channel> lookup_;
  std::optional<Frontend> frontend_;
  std::array<Client, kClients> clients_;
  std::array<Worker, kOwners> workers_;
  Packet packet_;
  std::deque<std::uint64_t> questions_;        // to lookup, unanswered
  std::deque<std::uint64_t> exchanges_;        // whose next step is lookup's
  std::deque<std::size_t> wanted_;             // owners
  std::map<std::string, std::size_t> owners_;  // of tickets
  std::map<std::string, int> unsaid_;  // copies of a message that were stored, without a reply
  bool stopped_ = false;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  keep_log_silent();
  Run run;
  run.play({reinterpret_cast<const char*>(data), size});
  run.end();
  return 0;
}
