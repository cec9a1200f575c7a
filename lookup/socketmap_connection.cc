#include "lookup/socketmap_connection.h"

#include <event2/buffer.h>
#include <event2/event.h>
#include <fmt/format.h>

#include "lmtpd/base/log.h"

namespace lmtpd::lookup {
namespace {

// Postfix's socketmap_max_query_size and socketmap_max_reply_size, and the map's name.
constexpr std::size_t kLongestRequest = 10'000 + 100;
constexpr std::size_t kLongestReply = 100'000;
constexpr std::size_t kLongestLength = 6;  // of a netstring, in digits and with the colon
constexpr std::size_t kMostInput = kLongestRequest + kLongestLength + 1;
// Of answers that Postfix does not read; then no more is read either.
constexpr std::size_t kMostOutput = kLongestReply;
constexpr timeval kIdleTime{600, 0};

std::string_view word(MapReply::Kind kind) {
  switch (kind) {
    case MapReply::Kind::ok:
      return "OK";
    case MapReply::Kind::not_found:
      return "NOTFOUND";
    case MapReply::Kind::temporary:
      return "TEMP";
    case MapReply::Kind::permanent:
      break;
  }
  return "PERM";
}

}  // namespace

SocketmapConnection::SocketmapConnection(event_base* base, UniqueFd socket, Service& service,
                                         Owner& owner)
    : buffer_(bufferevent_socket_new(base, socket.release(), BEV_OPT_CLOSE_ON_FREE)),
      service_(service),
      owner_(owner),
      reader_(kLongestRequest) {
  bufferevent_setcb(buffer_.get(), on_ready, on_ready, on_event, this);
  bufferevent_set_timeouts(buffer_.get(), &kIdleTime, &kIdleTime);
  bufferevent_setwatermark(buffer_.get(), EV_READ, 0, kMostInput);
  bufferevent_enable(buffer_.get(), EV_READ | EV_WRITE);
}

SocketmapConnection::~SocketmapConnection() { service_.inquiries.abandon(*this); }

void SocketmapConnection::retire() {
  bufferevent_disable(buffer_.get(), EV_READ);
  read();
}

bool SocketmapConnection::retired() const {
  return (bufferevent_get_enabled(buffer_.get()) & EV_READ) == 0;
}

void SocketmapConnection::on_ready(bufferevent*, void* self) noexcept {
  static_cast<SocketmapConnection*>(self)->read();
}

void SocketmapConnection::on_event(bufferevent*, short, void* self) noexcept {
  auto* connection = static_cast<SocketmapConnection*>(self);
  connection->owner_.on_closed(*connection);
}

void SocketmapConnection::read() {
  using Kind = NetstringReader::Step::Kind;
  evbuffer* input = bufferevent_get_input(buffer_.get());
  const evbuffer* output = bufferevent_get_output(buffer_.get());
  if (retired()) {
    if (!busy_ && evbuffer_get_length(output) == 0) owner_.on_closed(*this);
    return;
  }
  while (!busy_ && evbuffer_get_length(output) < kMostOutput) {
    const std::size_t size = evbuffer_get_length(input);
    const auto* octets = reinterpret_cast<const char*>(evbuffer_pullup(input, -1));
    const NetstringReader::Step step = reader_.read({octets, size});
    if (step.kind == Kind::need_more) return;
    if (step.kind == Kind::malformed) {
      log_warning("socketmap: a request is no netstring of at most {} octets", kLongestRequest);
      return owner_.on_closed(*this);
    }
    const std::string request(step.string);
    evbuffer_drain(input, step.used);
    run(request);
  }
}

void SocketmapConnection::run(std::string_view request) {
  busy_ = true;
  const std::size_t space = std::min(request.find(' '), request.size());
  std::string map(request.substr(0, space));
  std::string key(request.substr(std::min(space + 1, request.size())));
  const std::optional<MapReply> known = service_.inquiries.begin(
      [&settings = service_.settings, map = std::move(map),
       key = std::move(key)](Answers& answers) { return query_map(map, key, settings, answers); },
      *this, 0);
  if (known) answer(*known);
}

void SocketmapConnection::on_outcome(std::uint64_t, const MapReply& reply) { answer(reply); }

void SocketmapConnection::answer(const MapReply& reply) {
  busy_ = false;
  std::string text = fmt::format("{} {}", word(reply.kind), reply.text);
  if (text.size() > kLongestReply) text = "PERM the answer is too long";
  const std::string packed = netstring(text);
  bufferevent_write(buffer_.get(), packed.data(), packed.size());
  // What came meanwhile, from the loop: an answer may be given in the midst of read().
  bufferevent_trigger(buffer_.get(), EV_READ, BEV_OPT_DEFER_CALLBACKS);
}

}  // namespace lmtpd::lookup
