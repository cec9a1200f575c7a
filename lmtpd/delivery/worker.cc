#include "lmtpd/delivery/worker.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>

#include "lmtpd/base/disk_error.h"
#include "lmtpd/base/log.h"

namespace lmtpd::delivery {
namespace {

std::string unexpected(const Frame& frame) {
  return fmt::format("unexpected message of type {} with {} octets and {} descriptors", frame.type,
                     frame.payload.size(), frame.descriptors.size());
}

// The frame as a message that has `descriptors` of them; nullopt if it is none.
template <class Message>
std::optional<Message> message_of(const Frame& frame, std::size_t descriptors) {
  if (frame.descriptors.size() != descriptors) return std::nullopt;
  return decode<Message>(frame.payload);
}

}  // namespace

void Worker::run() {
  control_.send(Ready{});
  flush();
  while (!is_done()) {
    wait();
    read_control();
    read_links();
    deliver();
    for (Delivered& each : threads_->take_finished()) finish(std::move(each));
    refuse(missing_.take_expired(Clock::now()),
           Error{Reason::io, "the missing mailbox was not made in time"});
    while (const std::optional<MakeMailbox> request = missing_.next()) control_.send(*request);
    flush();
    if (idle_ && may_sweep()) tmp_sweep_.step();
  }
}

bool Worker::is_done() const {
  if (!leaving_) return false;
  if (end_ && Clock::now() >= *end_) return true;
  return missing_.empty() && threads_->none() &&
         std::all_of(links_.begin(), links_.end(),
                     [](const auto& link) { return link.second.frontend.is_over(); });
}

void Worker::wait() {
  std::vector<pollfd> waited;
  // poll(2) passes over a negative descriptor.
  waited.push_back({master_gone_ ? -1 : control_.fd(), control_.events(), 0});
  waited.push_back({threads_->fd(), POLLIN, 0});
  for (auto& [number, link] : links_) {
    Channel& channel = link.frontend.channel();
    waited.push_back({channel.fd(), channel.events(), 0});
  }
  const int ready = ::poll(waited.data(), waited.size(), milliseconds_to_wait());
  idle_ = ready == 0;
  if (ready < 0) {
    if (errno != EINTR && errno != ENOMEM) {
      log_error("{}", errno_text("poll", errno));
      std::abort();
    }
    for (pollfd& channel : waited) channel.revents = 0;
  }
  control_readable_ = waited[0].revents != 0;
  std::size_t place = 1;
  for (auto& [number, link] : links_) link.readable = waited[++place].revents != 0;
}

// Not before the answers are sent: nobody waits for old files.
bool Worker::may_sweep() const {
  return tmp_sweep_.has_work() && std::ranges::none_of(links_, [](const auto& link) {
           return link.second.frontend.channel().has_unsent();
         });
}

int Worker::milliseconds_to_wait() const {
  if (may_sweep()) return 0;
  std::optional<Clock::time_point> until = missing_.next_deadline();
  const auto not_after = [&until](std::optional<Clock::time_point> time) {
    if (time) until = until ? std::min(*until, *time) : *time;
  };
  not_after(end_);
  if (!master_gone_) not_after(control_.retry_at());
  for (const auto& [number, link] : links_) not_after(link.frontend.channel().retry_at());
  if (!until) return -1;
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(*until - Clock::now()).count();
  return static_cast<int>(std::max<decltype(left)>(left, 0));
}

// ---- master

void Worker::read_control() {
  while (!master_gone_ && control_readable_) {
    const Channel::Status status = control_.receive(packet_);
    if (status == Channel::Status::would_block) return;
    if (status == Channel::Status::closed) return lose_master();
    for (Frame& frame : packet_.frames()) {
      if (!on_control(frame)) {
        log_error("control channel: {}", unexpected(frame));
        return lose_master();
      }
    }
  }
}

bool Worker::on_control(Frame& frame) {
  switch (static_cast<MessageType>(frame.type)) {
    case MessageType::introduce: {
      const auto message = message_of<Introduce>(frame, 1);
      if (!message || message->kind != static_cast<std::uint8_t>(PeerKind::frontend)) return false;
      introduce(*message, std::move(frame.descriptors[0]));
      return true;
    }
    case MessageType::mailbox_made: {
      const auto message = message_of<MailboxMade>(frame, 0);
      if (!message || !missing_.is_asked(message->id)) return false;
      on_mailbox_made(*message);
      return true;
    }
    case MessageType::stop:
      if (!message_of<Stop>(frame, 0)) return false;
      take_leave();
      return true;
    default:
      return false;
  }
}

void Worker::introduce(const Introduce& message, UniqueFd socket) {
  // Of a frontend that was restarted the old channel is at its end, which is read in its turn. One
  // that asked twice uses the first until all is answered, and then the last: of one between it has
  // let go.
  std::optional<LinkNumber> first;
  std::optional<LinkNumber> between;
  for (const auto& [number, link] : links_) {
    if (link.frontend.instance() == message.instance) (first ? between : first) = number;
  }
  if (between) links_.erase(*between);
  const auto added =
      links_.try_emplace(++last_link_, FrontendLink(message.instance, std::move(socket))).first;
  if (leaving_) added->second.frontend.take_leave();
}

void Worker::on_mailbox_made(const MailboxMade& message) {
  Jobs jobs = missing_.take_answered(message.id);
  if (!message.made) {
    refuse(jobs, Error{message.reason, std::string(message.text)});
    return;
  }
  for (Job& job : jobs) job.mailbox_made = true;
  jobs_.splice(jobs_.end(), jobs);
}

void Worker::lose_master() {
  master_gone_ = true;
  refuse(missing_.take_all(), Error{Reason::io, "the mailbox is missing, and master is gone"});
  end_ = Clock::now() + kLastWait;
  take_leave();
}

void Worker::take_leave() {
  leaving_ = true;
  for (auto& [number, link] : links_) link.frontend.take_leave();
}

// ---- frontends

void Worker::read_links() {
  for (auto link = links_.begin(); link != links_.end();) {
    const LinkNumber number = link->first;
    if (!link->second.readable || read_link(number, link->second.frontend)) {
      ++link;
    } else {
      link = links_.erase(link);
    }
  }
}

// False: the channel is over.
bool Worker::read_link(LinkNumber number, FrontendLink& link) {
  while (true) {
    const Channel::Status status = link.channel().receive(packet_);
    if (status == Channel::Status::would_block) return true;
    if (status == Channel::Status::closed) return false;
    for (Frame& frame : packet_.frames()) {
      const Result<void> taken = on_frame(number, link, frame);
      if (!taken) {
        log_warning("channel to frontend {} closed: {}", link.instance(), taken.error().text);
        return false;
      }
    }
  }
}

Result<void> Worker::on_frame(LinkNumber number, FrontendLink& link, Frame& frame) {
  switch (static_cast<MessageType>(frame.type)) {
    case MessageType::deliver: {
      const std::optional<Deliver> message = decode<Deliver>(frame.payload);
      if (!message) break;
      Result<void> accepted = link.accept(*message, frame.descriptors);
      if (!accepted) return accepted;
      add_jobs(number, link, *message, frame.descriptors);
      return {};
    }
    case MessageType::left: {
      const auto message = message_of<Left>(frame, 0);
      if (!message) break;
      return link.accept(*message);
    }
    default:
      break;
  }
  return fail(Reason::io, unexpected(frame));
}

void Worker::add_jobs(LinkNumber number, FrontendLink& link, const Deliver& message,
                      std::span<UniqueFd> descriptors) {
  const Clock::time_point now = Clock::now();
  for (const Delivery& delivery : message.deliveries) {
    std::optional<Ticket> ticket =
        open_ticket_as_worker(identity_.key, identity_.owner, delivery.ticket, now);
    if (!ticket) {
      log_warning("delivery {} of frontend {}: ticket refused", delivery.id, link.instance());
      link.answer_failed(delivery.id, Error{Reason::io, "ticket refused"});
      continue;
    }
    UniqueFd body_fd;
    if (!descriptors.empty()) {
      body_fd = UniqueFd(::fcntl(descriptors[0].get(), F_DUPFD_CLOEXEC, 0));
      if (!body_fd) {
        link.answer_failed(delivery.id, disk_error("keep a message's descriptor", errno));
        continue;
      }
    }
    jobs_.push_back(Job{.link = number,
                        .id = delivery.id,
                        .path = std::move(ticket->path),
                        .ticket = std::string(delivery.ticket),
                        .headers = std::string(delivery.headers),
                        .body = std::string(message.body),
                        .body_fd = std::move(body_fd),
                        .body_size = message.body_size,
                        .wire_size = delivery.wire_size,
                        .alone = message.alone && descriptors.empty()});
  }
}

// ---- deliveries

void Worker::deliver() {
  // Its channel broke the rules, or was replaced, behind it.
  std::erase_if(jobs_, [&](const Job& job) { return !links_.contains(job.link); });
  // A thread would cost two switches. It was alone when it was sent; what has come since waits for
  // one message, which is small.
  if (jobs_.size() == 1 && jobs_.front().alone && threads_->none()) {
    finish(threads_->deliver_here(std::move(jobs_.front())));
  } else {
    threads_->start(std::move(jobs_));
  }
  jobs_.clear();
}

void Worker::finish(Delivered delivered) {
  const Job& job = delivered.job;
  const auto found = links_.find(job.link);
  if (found == links_.end()) return;  // nobody waits for it any more
  FrontendLink& link = found->second.frontend;
  switch (delivered.outcome.kind) {
    case maildir::Outcome::Kind::stored:
      tmp_sweep_.on_delivered(job.path);
      return link.answer_stored(job.id);
    case maildir::Outcome::Kind::failed:
      return link.answer_failed(job.id, delivered.outcome.error);
    case maildir::Outcome::Kind::missing_mailbox: {
      const std::uint64_t id = job.id;
      const Result<void> held = hold_for_mailbox(std::move(delivered.job));
      if (!held) link.answer_failed(id, held.error());
      return;
    }
  }
}

Result<void> Worker::hold_for_mailbox(Job job) {
  const std::string mailbox = "mailbox " + escaped(job.path.value());
  if (job.mailbox_made) return fail(Reason::no_access, mailbox + " was made and is missing again");
  if (master_gone_) return fail(Reason::io, mailbox + " is missing, and master is gone");
  missing_.add(std::move(job), Clock::now());
  return {};
}

void Worker::refuse(const Jobs& jobs, const Error& error) {
  for (const Job& job : jobs) {
    const auto link = links_.find(job.link);
    if (link != links_.end()) link->second.frontend.answer_failed(job.id, error);
  }
}

void Worker::flush() {
  // Master first: what ends with it is answered below.
  if (!master_gone_ && control_.flush() == Channel::Status::closed) lose_master();
  for (auto link = links_.begin(); link != links_.end();) {
    const bool closed = link->second.frontend.channel().flush() == Channel::Status::closed;
    link = closed ? links_.erase(link) : std::next(link);
  }
}

}  // namespace lmtpd::delivery
