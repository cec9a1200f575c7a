#include "tests/frontend/socket_stage.h"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

namespace lmtpd::frontend {
namespace {

using session::Manner;
using session::Place;

// Nothing takes that long but a test that fails.
constexpr timeval kPatience{20, 0};

struct Ends {
  UniqueFd client;
  UniqueFd server;
};

// By way of a listener. The kernel chooses its port, or its name (unix(7), autobind).
Ends connected(int family) {
  sockaddr_storage address{};
  socklen_t length = sizeof(sa_family_t);
  if (family == AF_INET) {
    sockaddr_in loopback{};
    loopback.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    std::memcpy(&address, &loopback, length = sizeof loopback);
  }
  address.ss_family = static_cast<sa_family_t>(family);
  auto* const name = reinterpret_cast<sockaddr*>(&address);
  const UniqueFd listener(::socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  EXPECT_EQ(::bind(listener.get(), name, length), 0);
  EXPECT_EQ(::listen(listener.get(), 1), 0);
  length = sizeof address;
  EXPECT_EQ(::getsockname(listener.get(), name, &length), 0);
  Ends ends;
  ends.client.reset(::socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  EXPECT_EQ(::connect(ends.client.get(), name, length), 0);
  ends.server.reset(::accept4(listener.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
  EXPECT_TRUE(ends.server);
  if (family == AF_INET) {
    const int on = 1;
    for (const UniqueFd* end : {&ends.client, &ends.server}) {
      ::setsockopt(end->get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    }
  }
  return ends;
}

const KeyPair& authority() {
  static const KeyPair made = KeyPair::make("CA");
  return made;
}

// One that asks for certificates of authority()'s, or asks for none.
const TlsContext& context(bool asks) {
  static const auto make = [](bool with_authority) {
    const KeyPair pair = KeyPair::make("mx.test");
    Settings settings;
    settings.tls_cert_file = settings.tls_key_file = "/pem";
    if (with_authority) settings.tls_client_ca = "/ca";
    auto made = context_of(
        settings, {{"/pem", pair.key + pair.certificate}, {"/ca", authority().certificate}});
    EXPECT_TRUE(made) << made.error().text;
    return *std::move(made);
  };
  static const TlsContext asking = make(true);
  static const TlsContext other = make(false);
  return asks ? asking : other;
}

}  // namespace

const char* name_of(Transport transport) {
  switch (transport) {
    case Transport::unix_socket:
      return "Unix";
    case Transport::tcp:
      return "Tcp";
    case Transport::tls:
      break;
  }
  return "Tls";
}

SocketStage::SocketStage(Transport transport, Manner manner, const session::Dialogue& dialogue)
    : transport_(transport),
      piece_(manner == Manner::bytewise ? 1 : SIZE_MAX),
      shows_certificate_(dialogue.shows_certificate()),
      unsaid_tls_(transport == Transport::tls && dialogue.place != Place::tls),
      silence_(event_new(base_.get(), -1, 0, on_silence, this)) {}

void SocketStage::begin(const session::Settings& settings, const session::Peer& peer) {
  Ends ends = connected(transport_ == Transport::unix_socket ? AF_UNIX : AF_INET);
  client_ = std::move(ends.client);
  server_ = ends.server.get();
  heard_.reset(event_new(base_.get(), client_.get(), EV_READ | EV_PERSIST, on_heard, this));
  event_add(heard_.get(), nullptr);
  session::Settings own = settings;
  if (transport_ == Transport::tls) own.tls_first = true;
  services_.emplace(backend(), unsaid_tls_);
  connection_.emplace(
      base_.get(), 1,
      Connection::Client{
          .socket = std::move(ends.server), .peer = peer, .key = "client", .session_id = "S1"},
      Connection::Terms{.settings = own,
                        .tls = &context(shows_certificate_),
                        .places = services_->places(),
                        .recipients = services_->recipients(),
                        .trusted_clients = services_->trusted_clients(),
                        .lookup = *services_},
      *services_);
  if (unsaid_tls_) begin_tls({});
}

void SocketStage::send(std::string_view octets) {
  for (; !octets.empty(); octets.remove_prefix(std::min(piece_, octets.size()))) {
    unsent_.emplace_back(octets.substr(0, piece_));
  }
  static_cast<void>(push());
}

void SocketStage::send_in_one_piece(std::string_view octets) {
  unsent_.emplace_back(octets);
  static_cast<void>(push());
}

void SocketStage::begin_tls(std::string_view how) {
  ASSERT_NE(how, "failed") << "only a bare session is told of that";
  unsent_.clear();
  tls_.emplace();
  if (shows_certificate_) {
    const KeyPair issuer = how == "untrusted" ? KeyPair::make("CA") : authority();
    tls_->present(issuer.issue("mx\") (by"));
  }
  while (!tls_->open() && !ended_) {
    const std::string said = tls_->say();
    if (said.empty()) {
      await_event();
    } else {
      transmit(said);
    }
  }
  transmit(tls_->say());
}

void SocketStage::shut_down() {
  turn();
  if (connection_) connection_->shut_down();
}

void SocketStage::wait(std::chrono::milliseconds) {
  FAIL() << "the clock of a Connection is not the script's";
}

std::optional<std::string> SocketStage::read_line() {
  while (true) {
    const std::size_t end = received_.find("\r\n", read_);
    if (end != std::string::npos) {
      const std::size_t begin = std::exchange(read_, end + 2);
      return received_.substr(begin, end - begin);
    }
    if (ended_) return std::nullopt;
    received_.erase(0, std::exchange(read_, 0));
    const std::size_t before = received_.size();
    turn();
    if (received_.size() == before && !push() && !answer()) await_event();
  }
}

void SocketStage::end() {
  for (turn(); !ended_; turn()) {
    if (push() || answer()) continue;
    if (unsent_.empty() && !said_all_) {
      say_farewell();
    } else {
      await_event();
    }
  }
}

void SocketStage::on_heard(evutil_socket_t, short, void* self) noexcept {
  static_cast<SocketStage*>(self)->hear();
}

void SocketStage::on_silence(evutil_socket_t, short, void* self) noexcept {
  ADD_FAILURE() << "neither side has anything to say";
  static_cast<SocketStage*>(self)->ended_ = true;
}

void SocketStage::hear() {
  static std::array<char, 64 * 1024> buffer;
  const ssize_t size = ::recv(client_.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
  if (size < 0 && errno == EAGAIN) return;
  // A server that ends the session before it has taken all resets the connection.
  if (size <= 0) {
    ended_ = true;
    event_del(heard_.get());
    if (tls_) {
      EXPECT_TRUE(tls_->at_end());
    }
    return;
  }
  const std::string_view octets(buffer.data(), static_cast<std::size_t>(size));
  if (tls_) {
    tls_->hear(octets);
    received_ += tls_->read();
  } else {
    received_ += octets;
  }
}

// False: nothing is left to be sent, or the server does not take what it was sent.
bool SocketStage::push() {
  bool pushed = false;
  while (connection_ && !unsent_.empty() && octets_before_server() == 0) {
    const std::string piece = std::move(unsent_.front());
    unsent_.pop_front();
    transmit(tls_ ? tls_->say(piece) : piece);
    pushed = true;
  }
  return pushed;
}

// Until it is before the server, who is given a turn.
void SocketStage::transmit(std::string_view octets) {
  while (connection_ && !octets.empty()) {
    const ssize_t sent =
        ::send(client_.get(), octets.data(), octets.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0 && errno == EAGAIN) {
      if (!answer()) await_event();
      continue;
    }
    if (sent < 0) return;  // the server has left
    octets.remove_prefix(static_cast<std::size_t>(sent));
    pollfd arrived{.fd = server_, .events = POLLIN, .revents = 0};
    ASSERT_EQ(::poll(&arrived, 1, static_cast<int>(kPatience.tv_sec) * 1000), 1);
    turn();
  }
}

std::size_t SocketStage::octets_before_server() const {
  int octets = 0;
  EXPECT_EQ(::ioctl(server_, FIONREAD, &octets), 0);
  return static_cast<std::size_t>(octets);
}

bool SocketStage::answer() {
  if (!connection_ || !services_->answer_next(*connection_)) return false;
  turn();
  return true;
}

// What is due now: the server's part, then the client's.
void SocketStage::turn() {
  for (int i = 0; i < 2; ++i) event_base_loop(base_.get(), EVLOOP_NONBLOCK);
  if (services_->finished()) connection_.reset();
}

void SocketStage::await_event() {
  if (ended_) return;
  event_add(silence_.get(), &kPatience);
  event_base_loop(base_.get(), EVLOOP_ONCE);
  event_del(silence_.get());
  if (services_->finished()) connection_.reset();
}

void SocketStage::say_farewell() {
  said_all_ = true;
  if (tls_) transmit(tls_->close());
  ::shutdown(client_.get(), SHUT_WR);
}

}  // namespace lmtpd::frontend
