#include "lmtpd/frontend/connection.h"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "lmtpd/base/log.h"
#include "lmtpd/base/messages.h"
#include "lmtpd/frontend/spool.h"

namespace lmtpd::frontend {
namespace {

// What one client can take, beyond its transaction and its body: in unread_ what one read brought,
// in the session 64 KiB of replies, in unsent_ the same once more, since they are taken only when
// that is empty. A command line of 12 KiB at most comes to it, and with TLS what TLS adds. The
// replies owed to one transaction, recipient_limit lines, may be more than 64 KiB.
constexpr std::size_t kReadSize = 64 * 1024;
// Of a client without a place: there may be more of them than of those who have one.
constexpr std::size_t kStrangersReadSize = 4 * 1024;
constexpr std::size_t kProtectedLimit = 64 * 1024;
constexpr std::uint64_t kFirstBooking = kInlineBody;  // where no SIZE was declared
constexpr std::uint64_t kBookingStep = 256 * 1024;

}  // namespace

Connection::Connection(event_base* base, std::uint64_t name, Client client, const Terms& terms,
                       Services& services)
    : socket_(std::move(client.socket)),
      name_(name),
      services_(services),
      lookup_(terms.lookup),
      place_(terms.places, std::move(client.key)),
      recipients_(terms.recipients, place_.client()),
      trusted_clients_(terms.trusted_clients),
      tls_context_(terms.tls),
      session_(terms.settings, std::move(client.session_id), std::move(client.peer), *this),
      largest_body_(terms.settings.size_announced),
      write_timeout_(terms.settings.session_timeout),
      readable_(event_new(base, socket_.get(), EV_READ | EV_PERSIST, on_readable, this)),
      writable_(event_new(base, socket_.get(), EV_WRITE, on_progress, this)),
      progress_(event_new(base, -1, 0, on_progress, this)),
      timer_(event_new(base, -1, 0, on_timer, this)) {
  schedule();  // the greeting
}

Connection::~Connection() {
  if (authenticating_) lookup_.end_auth(name_);
  if (resolving_ > 0) lookup_.abandon(name_);
  for (const auto& [id, body] : bodies_) services_.release({name_, id});
}

void Connection::on_readable(evutil_socket_t, short, void* self) noexcept {
  static_cast<Connection*>(self)->read();
}

void Connection::on_progress(evutil_socket_t, short, void* self) noexcept {
  static_cast<Connection*>(self)->progress();
}

void Connection::on_timer(evutil_socket_t, short, void* self) noexcept {
  static_cast<Connection*>(self)->meet_deadlines();
}

void Connection::schedule() { event_active(progress_.get(), EV_TIMEOUT, 1); }

// A client that sends while its session waits stays in the kernel's buffer.
bool Connection::takes_input() const {
  // What the client has TLS itself answer (new keys, an alert) is bounded, too.
  if (tls_ && unsent_.size() > kProtectedLimit) return false;
  return (session_.wants_input() || session_.wants_tls()) && unread_.empty() && !end_of_input_ &&
         !session_.closing();
}

void Connection::read() {
  if (!takes_input()) {
    // Only now: most clients wait for their replies, and need not be told off and on each time.
    event_del(readable_.get());
    reading_ = false;
    return;
  }
  receive();
  progress();
}

// One turn reads one buffer: no client keeps the others waiting.
void Connection::receive() {
  static std::array<char, kReadSize> buffer;
  const std::size_t most = place_.held() ? kReadSize : kStrangersReadSize;
  const ssize_t received = ::recv(socket_.get(), buffer.data(), most, 0);
  if (received < 0) {
    if (errno == EAGAIN || errno == EINTR) return;
    end_of_input_ = true;
  } else if (received == 0) {
    end_of_input_ = true;
  } else {
    take({buffer.data(), static_cast<std::size_t>(received)});
  }
}

// The socket of a client whose session waits may hold octets and is not waited for, so that its end
// shows on no event. (libevent's EV_CLOSED by itself turns in circles at EPOLLERR: a client that
// leaves a reply unread on a unix socket.)
void Connection::on_tick() {
  if (finished_ || reading_ || client_gone_) return;
  pollfd client{socket_.get(), POLLRDHUP, 0};
  if (::poll(&client, 1, 0) <= 0) return;
  if ((client.revents & (POLLHUP | POLLERR)) != 0) {
    lose_client();
  } else if (!session_.wants_input() && unread_.empty() && !end_of_input_) {
    // It sends nothing more, but still takes replies: is what it has sent enough for one?
    receive();
  }
  progress();
}

void Connection::take(std::string_view octets) {
  if (tls_) {
    take_protected(octets);
  } else {
    unread_ = octets.substr(session_.consume(octets));
  }
}

// What came behind STARTTLS in plain text is not the client's word, and is thrown away (RFC
// 3207 section 6).
void Connection::begin_tls() {
  unread_.clear();
  if (unsent_.empty()) sent_at_ = Clock::now();
  unsent_ += session_.take_output();
  tls_.emplace(*tls_context_);
}

void Connection::take_protected(std::string_view octets) {
  static std::string plain;  // every connection's: an idle one keeps no buffer
  plain.clear();
  if (unsent_.empty()) sent_at_ = Clock::now();
  const Result<void> received = tls_->receive(octets, plain, unsent_);
  const bool shaking_hands = session_.wants_tls();
  if (!received) {
    session_.on_tls_failed(received.error().text);
    if (!shaking_hands) {
      // Altered on the way, or cut: what follows is not the client's, who is told so (an alert).
      write();
      lose_client();
    }
    return;
  }
  if (shaking_hands && tls_->state() != TlsStream::State::handshake) {
    session_.on_tls(tls_->facts());
  }
  unread_ = std::string_view(plain).substr(session_.consume(plain));
  if (tls_->state() == TlsStream::State::closed) end_of_input_ = true;
}

// Protected where there is TLS.
std::string Connection::take_output() {
  std::string output = session_.take_output();
  if (!tls_ || output.empty()) return output;
  std::string out;
  if (!tls_->send(output, out)) {
    lose_client();
    return {};
  }
  return out;
}

void Connection::progress() {
  if (finished_) return;
  for (const BodyAnswer& answer : std::exchange(answers_, {})) {
    if (!bodies_.contains(answer.body)) continue;  // dropped meanwhile
    if (answer.ready) {
      session_.on_body_ready(answer.body);
    } else {
      services_.release({name_, answer.body});
      bodies_.erase(answer.body);
      session_.on_body_refused(answer.body, answer.ready.error());
    }
  }
  feed();
  if (session_.wants_tls() && !tls_) begin_tls();
  if (session_.wants_tls() && end_of_input_) session_.on_tls_failed("the client left");
  write();
  // What was sent has made room for the replies to what has been read already.
  if (may_feed()) schedule();

  if (is_over()) {
    finish();
    return;
  }
  if (!reading_ && takes_input()) {
    event_add(readable_.get(), nullptr);
    reading_ = true;
  }
  arm_timer();
  free_buffers();
}

// What was handed over is waited for in any case, and logged.
bool Connection::is_over() const {
  if (delivering_ > 0) return false;
  if (client_gone_) return true;
  if (!unsent_.empty()) return false;
  if (session_.closing()) return true;
  // The client sends nothing more, but still takes replies.
  return resolving_ == 0 && answers_.empty() && end_of_input_ && unread_.empty() &&
         session_.needs_input();
}

// Of a handshake, or of a group of commands that waited: this client may be idle for hours, and one
// of thousands.
void Connection::free_buffers() {
  if (unread_.empty()) unread_.shrink_to_fit();
  if (unsent_.empty()) unsent_.shrink_to_fit();
}

bool Connection::may_feed() const {
  return !unread_.empty() && session_.wants_input() && !session_.closing();
}

void Connection::feed() {
  while (may_feed()) {
    const std::size_t consumed = session_.consume(unread_);
    unread_.erase(0, consumed);
    if (consumed == 0) break;
  }
}

void Connection::write() {
  if (unsent_.empty() && session_.replies_may_wait()) return;
  while (true) {
    if (unsent_.empty()) {
      unsent_ = take_output();
      if (unsent_.empty()) return;
      sent_at_ = Clock::now();
    }
    const ssize_t sent = ::send(socket_.get(), unsent_.data(), unsent_.size(), MSG_NOSIGNAL);
    if (sent < 0) {
      if (errno == EINTR) continue;
      if (errno == EAGAIN) {
        event_add(writable_.get(), nullptr);
        return;
      }
      lose_client();
      return;
    }
    unsent_.erase(0, static_cast<std::size_t>(sent));
    if (!unsent_.empty()) sent_at_ = Clock::now();
  }
}

void Connection::finish() {
  finished_ = true;
  if (tls_) {
    // Best effort, as all that mattered has been sent.
    std::string farewell;
    tls_->close(farewell);
    static_cast<void>(::send(socket_.get(), farewell.data(), farewell.size(), MSG_NOSIGNAL));
  }
  for (const EventPtr* pending : {&readable_, &writable_, &progress_, &timer_})
    event_del(pending->get());
  services_.on_finished(name_);
}

// The client is gone, or takes no reply. Of what is unsent a part is lost: it would take a later
// reply for an earlier recipient's, so it gets none.
void Connection::lose_client() {
  ::shutdown(socket_.get(), SHUT_RDWR);
  client_gone_ = true;
  end_of_input_ = true;
  unread_.clear();
  unsent_.clear();
  static_cast<void>(session_.take_output());
}

Clock::time_point Connection::write_deadline() const {
  return unsent_.empty() ? Clock::time_point::max() : sent_at_ + write_timeout_;
}

void Connection::meet_deadlines() {
  timer_due_ = Clock::time_point::max();
  session_.on_deadline();
  if (Clock::now() >= write_deadline()) {
    // Once: a session that ended for its own deadline has counted it.
    if (!session_.closing()) count(Counter::session_timeout_hits);
    lose_client();
  }
  progress();
}

// The timer is not moved at every command: meet_deadlines() looks at both deadlines when it fires.
void Connection::arm_timer() {
  const Clock::time_point due = std::min(session_.deadline(), write_deadline());
  if (due >= timer_due_) return;
  timer_due_ = due;
  const timeval wait = to_timeval(due - Clock::now());
  event_add(timer_.get(), &wait);
}

Clock::time_point Connection::now() { return Clock::now(); }

std::time_t Connection::wall_clock() { return std::time(nullptr); }

bool Connection::may_send_mail() {
  if (!place_.hold()) return false;
  services_.on_place_taken(name_);
  return true;
}

void Connection::start_resolve(std::uint64_t id, const Address& recipient) {
  ++resolving_;
  lookup_.resolve(name_, id, client(), recipient.external());
}

void Connection::on_resolved(std::uint64_t request,
                             Result<std::vector<session::Mailbox>> mailboxes) {
  --resolving_;
  session_.on_resolved(request, std::move(mailboxes));
  schedule();
}

void Connection::start_auth(const session::AuthStart& start) {
  authenticating_ = true;
  lookup_.begin_auth(name_, start);
}

void Connection::continue_auth(std::string_view response) { lookup_.respond_auth(name_, response); }

void Connection::end_auth() {
  authenticating_ = false;
  lookup_.end_auth(name_);
}

void Connection::on_auth_step(session::AuthStep step) {
  authenticating_ = step.kind == session::AuthStep::Kind::challenge;
  session_.on_auth_step(std::move(step));
  schedule();
}

void Connection::start_body(std::uint64_t id, std::uint64_t octets, std::size_t copies) {
  Receiving& body = bodies_[id];
  body.booked = std::max(octets, std::min(kFirstBooking, largest_body_));
  if (services_.book({name_, id}, body.booked + copies * Spool::kCopy)) answer_body(id, {});
}

bool Connection::append_body(std::uint64_t id, std::string_view octets) {
  Receiving& body = bodies_.at(id);
  if (Result<void> appended = body.octets.append(octets); !appended) {
    answer_body(id, std::move(appended));
    return false;
  }
  if (body.octets.size() <= body.booked) return true;
  // As much again, so that one that comes slowly takes little. Room beyond the largest message may
  // not exist; the session ends what is larger.
  const std::uint64_t more =
      std::max<std::uint64_t>(body.octets.size() - body.booked,
                              std::min({kBookingStep, body.octets.size(),
                                        largest_body_ - std::min(largest_body_, body.booked)}));
  body.booked += more;
  return services_.book({name_, id}, more);
}

void Connection::answer_body(std::uint64_t id, Result<void> ready) {
  answers_.push_back({id, std::move(ready)});
  schedule();
}

void Connection::on_booked(std::uint64_t body) { answer_body(body, {}); }

void Connection::on_booking_refused(std::uint64_t body) {
  answer_body(body, fail(Reason::no_space, "no memory for the message within the time limit"));
}

void Connection::on_booking_lost(std::uint64_t body) {
  answer_body(body, fail(Reason::no_space, "the message stood still, and its room went to others"));
}

std::uint64_t Connection::on_reclaim(std::uint64_t body) {
  Receiving& receiving = bodies_.at(body);
  const std::uint64_t held = receiving.octets.size();
  return std::exchange(receiving.booked, held) - held;
}

void Connection::drop_body(std::uint64_t id) {
  if (bodies_.erase(id) > 0) services_.release({name_, id});
}

void Connection::start_delivery(std::uint64_t id, std::vector<session::Copy> copies) {
  const auto found = bodies_.find(id);
  Body octets = std::move(found->second.octets);
  bodies_.erase(found);
  delivering_ += copies.size();
  // An unsealed body is refused by the worker that gets it, and so answered 451.
  if (const Result<void> sealed = octets.seal(); !sealed) log_error("{}", sealed.error().text);
  services_.deliver({name_, id}, std::move(octets), std::move(copies));
}

void Connection::on_copy_done(std::uint64_t body, std::size_t copy, Result<void> outcome) {
  --delivering_;
  session_.on_copy_done(body, copy, std::move(outcome));
  schedule();
}

void Connection::shut_down() {
  session_.shut_down();
  schedule();
}

// Its descriptor is wanted, now.
void Connection::turn_away() {
  session_.turn_away();
  write();
  if (!unsent_.empty()) lose_client();
  schedule();
}

void Connection::log(std::string_view line) { services_.log(line); }

}  // namespace lmtpd::frontend
