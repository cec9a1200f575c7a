// A worker whose frontend was taken over: what comes on its channel, as hostile_packets.h has it,
// against a model of the rules in lmtpd/delivery/frontend_link.h and messages.h.
//
// A channel that breaks them delivers nothing. On one that keeps them every delivery is answered
// once, and stored exactly where its ticket is one of lookup's for a mailbox that is there. The
// fuzzer cannot make a ticket: it is given one where it sends "m" (a mailbox that is there) or "x"
// (one that is not, and is another's to make). Runs as root, as contrib/test does.
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <utility>

#include "lmtpd/delivery/worker.h"
#include "tests/base/hostile_packets.h"

namespace {

using namespace lmtpd;
using namespace lmtpd::testing;

constexpr MailboxOwner kOwner{Uid(1001), Gid(1001)};
constexpr Key kKey{7};
constexpr std::string_view kBody = "memfd";

class MailBase {
 public:
  MailBase() {
    std::string name = std::filesystem::exists("/dev/shm") ? "/dev/shm/lmtpd-fuzz.XXXXXX"
                                                           : "/tmp/lmtpd-fuzz.XXXXXX";
    must(::mkdtemp(name.data()) != nullptr);
    path_ = name;
    for (const char* part : {"m/tmp", "m/new", "m/cur", "others"}) {
      std::filesystem::create_directories(path_ / part);
    }
    must(::chown((path_ / "others").c_str(), kOwner.uid.value(), kOwner.gid.value()) == 0);
  }
  ~MailBase() { std::filesystem::remove_all(path_); }

  [[nodiscard]] UniqueFd open() const {
    return UniqueFd(::open(path_.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  }
  // All that was stored, which goes.
  std::multiset<std::string> take() {
    std::multiset<std::string> messages;
    for (const auto& file : std::filesystem::directory_iterator(path_ / "m/new")) {
      std::ifstream octets(file.path(), std::ios::binary);
      messages.emplace(std::istreambuf_iterator<char>(octets), std::istreambuf_iterator<char>());
      std::filesystem::remove(file.path());
    }
    must(std::filesystem::is_empty(path_ / "m/tmp"));
    return messages;
  }

 private:
  std::filesystem::path path_;
};

UniqueFd sealed_body() {
  UniqueFd fd(::memfd_create("body", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  must(::write(fd.get(), kBody.data(), kBody.size()) == static_cast<ssize_t>(kBody.size()));
  must(::fcntl(fd.get(), F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) ==
       0);
  return fd;
}

std::string ticket_for(std::string_view path) {
  return seal_ticket(kKey, {kOwner, *MailboxPath::parse(std::string(path) + '/'),
                            Clock::now() + std::chrono::hours(1)});
}

using Outcomes = std::multiset<std::pair<std::uint64_t, bool>>;

// What the rules make of the channel.
class Model {
 public:
  // False: a rule is broken.
  bool take(const HostileFrame& frame) {
    if (static_cast<MessageType>(frame.type) == MessageType::left) {
      return decode<Left>(frame.payload) && frame.descriptors == 0 && !std::exchange(left_, true);
    }
    const auto message = static_cast<MessageType>(frame.type) == MessageType::deliver
                             ? decode<Deliver>(frame.payload)
                             : std::nullopt;
    if (!message || left_ || message->deliveries.empty() || frame.descriptors > 1) return false;
    const bool in_memfd = frame.descriptors == 1;
    if (in_memfd ? !message->body.empty() || message->body_size != kBody.size()
                 : message->body.size() != message->body_size) {
      return false;
    }
    if (unanswered_.size() + message->deliveries.size() > kDeliveryWindow) return false;
    if (in_memfd && memfds_ >= kDescriptorWindow) return false;
    for (const Delivery& delivery : message->deliveries) {
      if (!unanswered_.insert(delivery.id).second) return false;
    }
    bool is_refused = true;
    for (const Delivery& delivery : message->deliveries) {
      const bool is_stored = delivery.ticket == "m";
      outcomes_.emplace(delivery.id, is_stored);
      if (is_stored) {
        messages_.insert(std::string(delivery.headers) +
                         std::string(in_memfd ? kBody : message->body));
      }
      // Who shows no ticket is answered at once, and has room for others.
      if (is_stored || delivery.ticket == "x") {
        is_refused = false;
      } else {
        unanswered_.erase(delivery.id);
      }
    }
    if (in_memfd && !is_refused) ++memfds_;
    return true;
  }
  [[nodiscard]] bool left() const { return left_; }
  // Of each delivery: its id, and whether it is stored.
  [[nodiscard]] const Outcomes& outcomes() const { return outcomes_; }
  [[nodiscard]] const std::multiset<std::string>& messages() const { return messages_; }

 private:
  bool left_ = false;
  std::set<std::uint64_t> unanswered_;
  std::size_t memfds_ = 0;
  Outcomes outcomes_;
  std::multiset<std::string> messages_;
};

// With the tickets that it stands for.
HostileFrame with_tickets(const HostileFrame& frame) {
  auto message = static_cast<MessageType>(frame.type) == MessageType::deliver
                     ? decode<Deliver>(frame.payload)
                     : std::nullopt;
  if (!message) return frame;
  const std::string there = ticket_for("m");
  const std::string missing = ticket_for("others/x");
  for (Delivery& delivery : message->deliveries) {
    if (delivery.ticket == "m") delivery.ticket = there;
    if (delivery.ticket == "x") delivery.ticket = missing;
  }
  return {frame.type, encode(*message), frame.descriptors, frame.lies};
}

void check_answers(Channel& channel, const Model& model) {
  Outcomes outcomes;
  std::size_t farewells = 0;
  Packet packet;
  while (channel.receive(packet) == Channel::Status::ok) {
    for (const Frame& frame : packet.frames()) {
      if (static_cast<MessageType>(frame.type) == MessageType::leaving) {
        ++farewells;
        continue;
      }
      must(static_cast<MessageType>(frame.type) == MessageType::outcome);
      const auto outcome = decode<Outcome>(frame.payload);
      must(outcome.has_value());
      outcomes.emplace(outcome->id, outcome->stored);
    }
  }
  must(outcomes == model.outcomes() && farewells == 1);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  keep_log_silent();
  static MailBase base;
  static const UniqueFd body = sealed_body();
  static const maildir::Deliverer deliverer =
      *maildir::Deliverer::open(base.open(), {.host = "mx.test", .fsync = false});

  auto master = make_channel_pair();
  auto frontend = make_channel_pair();
  Channel far(std::move(frontend->first));
  const int socket = far.fd();

  // All that is sent lies in the channels as the worker begins, which reads it in its first turn.
  Model model;
  bool keeps_rules = true;
  std::size_t octets = 0;
  for (const HostilePacket& packet : hostile_packets({reinterpret_cast<const char*>(data), size})) {
    HostilePacket sent{{}, packet.lies};
    for (const HostileFrame& frame : packet.frames) {
      keeps_rules = keeps_rules && !packet.lies && model.take(frame);
      sent.frames.push_back(with_tickets(frame));
      octets += sent.frames.back().payload.size();
      // Of tickets: more than a message may have.
      if (!packet.lies && sent.frames.back().payload.size() > Channel::kMaxPayload) return 0;
    }
    if (octets > Channel::kMaxPacket) return 0;  // the same, or more than the channel holds
    send_packet(socket, sent, body.get());
  }
  if (!model.left()) far.send(Left{});
  must(far.flush() == Channel::Status::ok);

  Channel control(std::move(master->first));
  std::vector<UniqueFd> near;
  near.push_back(std::move(frontend->second));
  control.send(Introduce{.kind = static_cast<std::uint8_t>(PeerKind::frontend)}, std::move(near));
  control.send(Stop{});
  must(control.flush() == Channel::Status::ok);
  must(::shutdown(control.fd(), SHUT_WR) == 0);  // nobody makes mailboxes
  {
    delivery::Worker worker(
        Channel(std::move(master->second)), {kOwner, derive_worker_key(kKey, kOwner)},
        *delivery::DeliveryThreads::open(deliverer, 0), maildir::TmpSweep(base.open()));
    worker.run();
    must(!worker.delivers());
  }
  const std::multiset<std::string> stored = base.take();
  if (keeps_rules) {
    must(stored == model.messages());
    check_answers(far, model);
  } else {
    must(stored.empty());
  }
  return 0;
}
