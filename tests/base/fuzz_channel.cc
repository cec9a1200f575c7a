// A packet as a role that was taken over may send it: the first octet says how many descriptors
// come with it, the others are its octets.
//
// What is received must add up to what was sent, with every descriptor either a message's or
// closed; what decodes, as whatever message, must be encoded in the same octets, and sent again be
// the same packet. Tickets in it say nothing that a key has not sealed.
#include <fcntl.h>
#include <unistd.h>

#include "lmtpd/base/messages.h"
#include "tests/base/hostile_packets.h"

namespace {

using namespace lmtpd;
using lmtpd::testing::must;

int lowest_free_descriptor() {
  const int fd = ::dup(0);
  ::close(fd);
  return fd;
}

void use_ticket(std::string_view sealed) {
  static const Key key{7};
  const Clock::time_point now{};
  const auto ticket = read_ticket(sealed);
  if (!ticket) {
    must(!open_ticket_as_maker(key, sealed, Clock::time_point::min()));
    return;
  }
  must(read_ticket_owner(sealed) == ticket->owner);
  must(MailboxPath::parse(ticket->path.value() + '/')->value() == ticket->path.value());
  const Key workers = derive_worker_key(key, ticket->owner);
  must(!open_ticket_as_maker(key, sealed, Clock::time_point::min()));
  must(!open_ticket_as_worker(workers, ticket->owner, sealed, Clock::time_point::min()));

  std::string ours = seal_ticket(key, *ticket);
  const auto as_maker = open_ticket_as_maker(key, ours, now);
  const auto as_worker = open_ticket_as_worker(workers, ticket->owner, ours, now);
  must(as_maker.has_value() == (now < ticket->expiry));
  must(as_worker.has_value() == as_maker.has_value());
  if (!as_maker) return;
  must(as_maker->owner == ticket->owner && as_maker->path == ticket->path);
  must(as_worker->path == ticket->path && as_worker->expiry == ticket->expiry);
  const std::size_t altered = static_cast<std::uint8_t>(sealed.back()) * ours.size() / 256;
  ours[altered] = static_cast<char>(ours[altered] ^ 1);
  must(!open_ticket_as_maker(key, ours, now));
}

void use(const auto&) {}
void use(const WantWorker& message) { use_ticket(message.ticket); }
void use(const MakeMailbox& message) { use_ticket(message.ticket); }
void use(const Resolved& message) {
  for (const Target& target : message.targets) use_ticket(target.ticket);
}
void use(const Deliver& message) {
  for (const Delivery& delivery : message.deliveries) use_ticket(delivery.ticket);
}

// As one of these messages; queues it again where it is of this type. False: it is none.
template <class Message>
bool take(Frame& frame, Channel& again) {
  const std::optional<Message> message = decode<Message>(frame.payload);
  if (message) must(encode(*message) == frame.payload);
  if (!message || frame.type != static_cast<std::uint16_t>(Message::kType)) return false;
  use(*message);
  std::vector<UniqueFd> descriptors;
  for (UniqueFd& fd : frame.descriptors) descriptors.push_back(std::move(fd));
  again.send(*message, std::move(descriptors));
  return true;
}

template <class... Messages>
bool take_any(Frame& frame, Channel& again) {
  return (take<Messages>(frame, again) | ...);
}

bool take_message(Frame& frame, Channel& again) {
  return take_any<Configure, File, Listener, CounterPage, Start, Introduce, Stop, Serve, Retire,
                  Ready, StartWorker, WorkerRefused, ExpelWorker, WantLookup, MakeMailbox,
                  MailboxMade, Resolve, WantWorker, Resolved, Authenticate, AuthResponse, AuthEnd,
                  AuthStep, Deliver, Left, Outcome, Leaving>(frame, again);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const int null = (lmtpd::testing::keep_log_silent(), ::open("/dev/null", O_RDONLY));
  if (size == 0) return 0;
  const std::size_t sent_descriptors = data[0] % 8;
  const std::string_view octets(reinterpret_cast<const char*>(data) + 1, size - 1);
  const int free_descriptor = lowest_free_descriptor();
  {
    auto pair = make_channel_pair();
    auto next = make_channel_pair();
    Channel channel(std::move(pair->second));
    Channel again(std::move(next->first));
    Channel reader(std::move(next->second));
    lmtpd::testing::send_raw(pair->first.get(), octets, sent_descriptors, null);
    Packet packet;
    const Channel::Status status = channel.receive(packet);
    must(status != Channel::Status::would_block);
    if (status == Channel::Status::ok) {
      std::size_t length = 0;
      std::size_t descriptors = 0;
      bool all = true;
      for (Frame& frame : packet.frames()) {
        length += 8 + frame.payload.size();
        descriptors += frame.descriptors.size();
        for (const UniqueFd& fd : frame.descriptors) must(::fcntl(fd.get(), F_GETFD) == FD_CLOEXEC);
        all = take_message(frame, again) && all;
      }
      must(length == octets.size() && descriptors == sent_descriptors);
      if (all) {
        must(again.flush() == Channel::Status::ok);
        Packet same;
        must(reader.receive(same) == Channel::Status::ok);
        must(same.frames().size() == packet.frames().size());
        for (std::size_t i = 0; i < same.frames().size(); ++i) {
          must(same.frames()[i].type == packet.frames()[i].type);
          must(same.frames()[i].payload == packet.frames()[i].payload);
          must(same.frames()[i].descriptors.size() == packet.frames()[i].descriptors.size());
        }
      }
    }
  }
  must(lowest_free_descriptor() == free_descriptor);
  return 0;
}
