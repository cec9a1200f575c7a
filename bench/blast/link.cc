#include "bench/blast/link.h"

#include <fmt/format.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

namespace lmtpd::blast {
namespace {

std::uint64_t nanoseconds(Clock::duration span) {
  return static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::nanoseconds>(span).count());
}

}  // namespace

Link::Link(std::uint32_t index, int epoll, const Options& options, Source& source)
    : index_(index),
      epoll_(epoll),
      options_(options),
      source_(source),
      dialogue_({.lhlo = options.lhlo,
                 .smtp = options.smtp,
                 .pipeline = options.pipeline,
                 .allow_tempfail = options.allow_tempfail},
                outbox_, *this) {}

Expected<void> Link::work(Time now) {
  now_ = now;
  if (!job_) take_job();
  if (!fd_) return job_ ? open() : Expected<void>();
  if (!idle() || (!job_ && !exhausted_)) return {};
  on_ready();
  return write();
}

Expected<void> Link::on_event(std::uint32_t events, Time now) {
  now_ = now;
  if (!fd_) return {};  // closed earlier in this batch of events
  last_progress_ = now;
  if (connecting_) {
    if (auto done = connect_outcome(fd_.get()); !done) return name_failure(done.error());
    connecting_ = false;
    watch(EPOLLIN);
  }
  if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) {
    if (auto done = read(); !done || !fd_) return done;
  }
  return write();
}

Expected<void> Link::check_deadline(Time now) const {
  if (!fd_ && job_ && now - last_progress_ > options_.timeout) {
    return name_failure("the backlog of " + options_.target.text() + " stays full");
  }
  if (!fd_ || idle() || now - last_progress_ <= options_.timeout) return {};
  const double seconds = std::chrono::duration<double>(options_.timeout).count();
  if (connecting_) return name_failure(fmt::format("not connected within {} s", seconds));
  if (dialogue_.over()) {
    return name_failure(fmt::format("the server did not close within {} s of QUIT", seconds));
  }
  return name_failure(fmt::format("{} did not come within {} s", dialogue_.waiting_for(), seconds));
}

void Link::take_job() {
  if (exhausted_) return;
  auto next = source_.take(now_);
  if (auto* job = std::get_if<Source::Job>(&next)) {
    job_ = std::make_unique<Source::Job>(std::move(*job));
    started_ = false;
    last_progress_ = now_;
  }
  exhausted_ = std::holds_alternative<Source::Exhausted>(next);
}

Expected<void> Link::open() {
  auto fd = options_.target.connect();
  if (!fd) return name_failure(std::move(fd.error()));
  if (!*fd) return {};  // a full backlog: the next tick tries again
  fd_ = std::move(*fd);
  dialogue_.reset();
  outbox_.clear();
  used_ = 0;
  connecting_ = true;
  last_progress_ = now_;
  ++source_.totals().connects;
  epoll_event event{.events = EPOLLOUT, .data = {.u32 = index_}};
  watched_ = event.events;
  if (::epoll_ctl(epoll_, EPOLL_CTL_ADD, fd_.get(), &event) != 0) {
    return name_failure(fmt::format("epoll_ctl: {}", std::strerror(errno)));
  }
  return {};
}

Expected<void> Link::read() {
  static std::array<char, 65536> buffer;
  const ssize_t n = ::recv(fd_.get(), buffer.data(), buffer.size(), 0);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return {};
  if (n < 0) {
    return name_failure(
        fmt::format("{}, before {}", std::strerror(errno), dialogue_.waiting_for()));
  }
  if (n == 0) {
    if (auto done = dialogue_.end_of_input(); !done) return name_failure(done.error());
    close();
    return work(now_);
  }
  const std::string_view octets(buffer.data(), static_cast<std::size_t>(n));
  if (auto done = dialogue_.receive(octets); !done) return name_failure(done.error());
  if (dialogue_.refused()) {
    // A message that waited for this connection has no reply of its own.
    if (job_ && !started_) {
      for (const auto& recipient : job_->message.recipients) on_tempfail(recipient);
      job_.reset();
    }
    close();
    return work(now_);
  }
  return {};
}

Expected<void> Link::write() {
  if (outbox_.empty() && (watched_ & EPOLLOUT) == 0) return {};
  if (connecting_) return {};
  if (auto done = outbox_.write_to(fd_.get()); !done) {
    // A server that closed early has often said why: that reply, or the end, is the better text.
    if (auto read_done = read(); !read_done) return read_done;
    if (fd_) return name_failure(std::move(done.error()));
    return {};
  }
  watch(outbox_.empty() ? std::uint32_t{EPOLLIN} : std::uint32_t{EPOLLIN | EPOLLOUT});
  return {};
}

void Link::watch(std::uint32_t events) {
  if (std::exchange(watched_, events) == events) return;
  epoll_event event{.events = events, .data = {.u32 = index_}};
  (void)::epoll_ctl(epoll_, EPOLL_CTL_MOD, fd_.get(), &event);
}

void Link::close() {
  fd_.reset();
  outbox_.clear();
  connecting_ = false;
}

void Link::on_ready() {
  pipelined_ = dialogue_.pipelining();
  if (options_.reuse != 0 && used_ >= options_.reuse) {
    dialogue_.quit();
    return;
  }
  if (!job_) take_job();
  if (job_) {
    started_ = true;
    ++used_;
    // The recipients are told back by the dialogue; only begin and id are needed here.
    const std::string id = job_->message.id;
    dialogue_.start(std::exchange(job_->message, Message{}));
    job_->message.id = id;
  } else if (exhausted_) {
    dialogue_.quit();
  }
}

void Link::on_data_queued() { data_queued_ = now_; }

void Link::on_stored(const std::string& recipient) {
  source_.stored(recipient, job_->message.id);
  source_.totals().delivery_latency.record(nanoseconds(now_ - data_queued_));
  source_.totals().last_outcome = now_;
}

void Link::on_tempfail(const std::string& /*recipient*/) {
  ++source_.totals().tempfailed;
  source_.totals().last_outcome = now_;
}

void Link::on_message_end() {
  source_.ended(job_->begin, now_);
  job_.reset();
}

Expected<void> Link::name_failure(std::string text) const {
  if (!job_) return complain(fmt::format("connection {}: {}", index_ + 1, text));
  return complain(fmt::format("connection {}, message {}: {}", index_ + 1, job_->message.id, text));
}

}  // namespace lmtpd::blast
