#include "lmtpd/frontend/deliveries.h"

#include <algorithm>
#include <utility>

#include "lmtpd/base/log.h"
#include "lmtpd/frontend/spool.h"

namespace lmtpd::frontend {
namespace {

// What a copy takes in a Deliver message, beside its strings.
constexpr std::size_t kDeliveryOverhead = 32;
// Of many owners few get much at a time, and those want more than an equal part.
constexpr std::size_t kMostParts = 4;

const Error kStandsStill{Reason::io, "the delivery process has stopped answering"};

}  // namespace

Deliveries::Deliveries(event_base* base, Sender& sender, std::uint64_t room)
    : base_(base),
      sender_(sender),
      room_(room),
      refused_event_(event_new(base, -1, 0, on_refused, this)) {}

void Deliveries::start(const MessageName& name, Body body, std::vector<session::Copy> copies) {
  const MessageId id = next_message_++;
  const std::uint64_t size = body.size();
  messages_.emplace(id, Message{name, std::move(body), copies.size()});
  const Clock::time_point deadline = Clock::now() + kDeadline;
  std::vector<Worker*> workers;
  for (std::size_t i = 0; i < copies.size(); ++i) {
    // Tickets come from lookup, and LookupLink has read each once.
    const MailboxOwner owner = read_ticket_owner(copies[i].ticket);
    Worker& worker = worker_for(owner);
    if (worker.stands_still) {
      refused_.push_back({id, i});
      continue;
    }
    if (++worker.unanswered[id] == 1) {
      workers.push_back(&worker);
      worker.octets += size;
    }
    worker.octets += Spool::kCopy;
    if (!worker.owes()) worker.heard = Clock::now();
    worker.waiting.push_back({id, i, std::move(copies[i]), deadline});
  }
  if (!refused_.empty()) event_active(refused_event_.get(), EV_TIMEOUT, 1);
  // Last: the body leaves once for all of a worker's copies, whatever the order of the recipients.
  for (Worker* worker : workers) pump(*worker);
}

Deliveries::Worker& Deliveries::worker_for(MailboxOwner owner) {
  Worker& worker = workers_.try_emplace(owner).first->second;
  worker.owner = owner;
  return worker;
}

bool Deliveries::has_too_much(const Worker& worker) const {
  const std::size_t parts = std::min(workers_.size(), kMostParts);
  return parts > 1 && worker.octets > room_ / parts;
}

void Deliveries::on_refused(evutil_socket_t, short, void* self) noexcept {
  static_cast<Deliveries*>(self)->answer_refused();
}

void Deliveries::answer_refused() {
  for (const Refused& copy : std::exchange(refused_, {})) {
    sender_.count(Counter::owner_deferrals);
    answer(copy.message, copy.copy, tl::unexpected(kStandsStill));
  }
}

void Deliveries::pump(Worker& worker) {
  if (worker.channel && !worker.leaving && !worker.next) {
    while (!worker.waiting.empty() && send_front(worker)) {
    }
  } else if (!worker.waiting.empty() && !worker.wanted && !worker.channel) {
    // Where lookup is away, expire() tries again: within a second, and until the deadline.
    worker.wanted = sender_.want_worker(worker.waiting.front().what.ticket);
  }
}

// Sends the message that stands first, with those of its copies that follow and fit. False: the
// window or the channel is full.
bool Deliveries::send_front(Worker& worker) {
  const MessageId id = worker.waiting.front().message;
  const Body& body = messages_.at(id).body;
  std::vector<UniqueFd> descriptors;
  if (worker.sent.size() >= kDeliveryWindow) return false;
  if (worker.channel->unsent_packets() >= kMostUnsentPackets) return false;
  if (!body.is_inline()) {
    if (worker.files.size() >= kDescriptorWindow) return false;
    descriptors.push_back(body.duplicate_file());
    if (!descriptors.back()) return false;  // EMFILE: others are about to be done with theirs
  }

  Deliver message;
  message.body = body.inline_octets();
  message.body_size = body.size();
  message.alone = messages_.size() == 1 && messages_.at(id).unanswered == 1;
  std::size_t size = message.body.size();
  std::vector<Waiting> taken;
  while (!worker.waiting.empty() && worker.waiting.front().message == id &&
         worker.sent.size() + taken.size() < kDeliveryWindow) {
    const session::Copy& copy = worker.waiting.front().what;
    size += copy.ticket.size() + copy.headers.size() + kDeliveryOverhead;
    if (!taken.empty() && size > Channel::kMaxPayload - kDeliveryOverhead) break;
    taken.push_back(std::move(worker.waiting.front()));
    worker.waiting.pop_front();
  }
  // A descriptor goes by its first delivery's name.
  const std::uint64_t file = descriptors.empty() ? 0 : next_delivery_;
  if (file != 0) worker.files.emplace(file, taken.size());
  if (worker.sent.empty()) worker.heard = Clock::now();
  for (const Waiting& copy : taken) {
    const std::uint64_t delivery = next_delivery_++;
    message.deliveries.push_back(
        {delivery, copy.what.ticket, copy.what.headers, copy.what.wire_size});
    worker.sent.emplace(delivery, Sent{copy.message, copy.copy, copy.deadline, false, file});
  }
  worker.channel->send(message, std::move(descriptors));
  return true;
}

void Deliveries::introduce(MailboxOwner owner, UniqueFd socket) {
  Worker& worker = worker_for(owner);
  worker.wanted = false;
  if (!worker.channel) return open(worker, std::move(socket));
  worker.next = std::move(socket);
  if (worker.sent.empty()) worker.channel->close();
}

void Deliveries::open(Worker& worker, UniqueFd socket) {
  worker.leaving = false;
  worker.channel = std::make_unique<EventChannel>(base_, Channel(std::move(socket)), *this);
  by_channel_[worker.channel.get()] = &worker;
  pump(worker);
}

void Deliveries::refuse(MailboxOwner owner, const Error& error) {
  const auto found = workers_.find(owner);
  if (found == workers_.end()) return;
  found->second.wanted = false;
  fail_waiting(found->second, error);
}

void Deliveries::fail_waiting(Worker& worker, const Error& error) {
  for (const Waiting& copy : std::exchange(worker.waiting, {})) {
    done(worker, copy.message, copy.copy, tl::unexpected<Error>(error));
  }
}

// Where it hangs in the kernel it does not end yet, and its channel neither.
void Deliveries::expel(Worker& worker, std::chrono::seconds silence) {
  worker.stands_still = true;
  log_error("worker of uid {} gid {} has said nothing for {} s: ended", worker.owner.uid.value(),
            worker.owner.gid.value(), silence.count());
  sender_.expel_worker(worker.owner);
  for (std::size_t i = 0; i < worker.waiting.size(); ++i) sender_.count(Counter::owner_deferrals);
  fail_waiting(worker, kStandsStill);
  for (auto& [id, sent] : worker.sent) {
    if (std::exchange(sent.expired, true)) continue;
    sender_.count(Counter::delivery_timeouts);
    done(worker, sent.message, sent.copy, tl::unexpected(kStandsStill));
  }
}

void Deliveries::forget_wanted() {
  for (auto& [owner, worker] : workers_) worker.wanted = false;
}

Deliveries::Worker& Deliveries::worker_of(const EventChannel& channel) {
  return *by_channel_.at(&channel);
}

void Deliveries::on_packet(EventChannel& channel, Packet& packet) {
  Worker& worker = worker_of(channel);
  for (const Frame& frame : packet.frames()) {
    if (!on_frame(worker, frame)) {
      log_error(
          "worker of uid {} gid {} broke the rules of its channel (message of type {}): ended",
          worker.owner.uid.value(), worker.owner.gid.value(), frame.type);
      sender_.expel_worker(worker.owner);
      channel.close();
      return;
    }
  }
  if (worker.next && worker.sent.empty()) return channel.close();
  pump(worker);
}

bool Deliveries::on_frame(Worker& worker, const Frame& frame) {
  switch (static_cast<MessageType>(frame.type)) {
    case MessageType::outcome: {
      const std::optional<Outcome> outcome = decode<Outcome>(frame.payload);
      const auto found = outcome ? worker.sent.find(outcome->id) : worker.sent.end();
      if (found == worker.sent.end()) return false;
      const Sent sent = found->second;
      worker.sent.erase(found);
      worker.heard = Clock::now();
      worker.stands_still = false;
      if (sent.file != 0 && --worker.files.at(sent.file) == 0) worker.files.erase(sent.file);
      if (sent.expired) {
        if (outcome->stored) {
          log_warning("worker of uid {} stored a message after its deadline: probably a duplicate",
                      worker.owner.uid.value());
        }
      } else if (outcome->stored) {
        done(worker, sent.message, sent.copy, {});
      } else {
        done(worker, sent.message, sent.copy, fail(outcome->reason, std::string(outcome->text)));
      }
      return true;
    }
    case MessageType::leaving:
      if (!decode<Leaving>(frame.payload) || worker.leaving) return false;
      worker.leaving = true;
      worker.heard = Clock::now();
      worker.channel->send(Left{});
      return true;
    default:
      return false;
  }
}

void Deliveries::on_drained(EventChannel& channel) { pump(worker_of(channel)); }

void Deliveries::on_closed(EventChannel& channel) {
  Worker& worker = worker_of(channel);
  by_channel_.erase(&channel);
  const std::unique_ptr<EventChannel> closed = std::move(worker.channel);
  worker.files.clear();
  worker.stands_still = false;
  for (const auto& [id, sent] : std::exchange(worker.sent, {})) {
    if (sent.expired) continue;
    done(worker, sent.message, sent.copy,
         fail(Reason::io, "delivery process ended before it answered"));
  }
  if (worker.next) {
    open(worker, std::move(worker.next));
  } else {
    pump(worker);
  }
}

void Deliveries::expire(Clock::time_point now, bool room_is_short) {
  for (auto& [owner, worker] : workers_) {
    // One that says something is only slow.
    const std::chrono::seconds silence =
        room_is_short && has_too_much(worker) ? Spool::kPatience : kDeadline;
    if (worker.owes() && !worker.stands_still && now >= worker.heard + silence) {
      expel(worker, silence);
    }
    for (auto& [id, sent] : worker.sent) {
      if (now < sent.deadline) break;
      if (std::exchange(sent.expired, true)) continue;
      sender_.count(Counter::delivery_timeouts);
      done(worker, sent.message, sent.copy, fail(Reason::io, "delivery was not confirmed in time"));
    }
    while (!worker.waiting.empty() && now >= worker.waiting.front().deadline) {
      const Waiting copy = std::move(worker.waiting.front());
      worker.waiting.pop_front();
      sender_.count(Counter::delivery_timeouts);
      done(worker, copy.message, copy.copy,
           fail(Reason::overload, "no delivery process was free in time"));
      worker.wanted = false;
    }
    pump(worker);
  }
  // A site may have a million of them.
  std::erase_if(workers_, [](const auto& item) {
    return !item.second.channel && item.second.waiting.empty();
  });
}

void Deliveries::done(Worker& worker, MessageId message, std::size_t copy, Result<void> outcome) {
  worker.octets -= Spool::kCopy;
  const auto found = worker.unanswered.find(message);
  if (--found->second == 0) {
    worker.octets -= messages_.at(message).body.size();
    worker.unanswered.erase(found);
  }
  answer(message, copy, std::move(outcome));
}

void Deliveries::answer(MessageId message, std::size_t copy, Result<void> outcome) {
  Message& found = messages_.at(message);
  const MessageName name = found.name;
  const bool last = --found.unanswered == 0;
  if (last) messages_.erase(message);
  sender_.on_copy_done(name, copy, std::move(outcome));
  if (last) sender_.on_message_done(name);
}

}  // namespace lmtpd::frontend
