#include "lmtpd/frontend/proxy_arrival.h"

#include <algorithm>
#include <array>
#include <cerrno>

namespace lmtpd::frontend {

ProxyArrival::ProxyArrival(event_base* base, UniqueFd socket, const sockaddr_storage& proxy,
                           std::uint64_t name, timeval patience, Owner& owner)
    : socket_(std::move(socket)),
      proxy_(proxy),
      name_(name),
      owner_(owner),
      readable_(event_new(base, socket_.get(), EV_READ | EV_PERSIST, on_readable, this)),
      timer_(event_new(base, -1, 0, on_timer, this)) {
  event_add(readable_.get(), nullptr);
  event_add(timer_.get(), &patience);
}

void ProxyArrival::on_readable(evutil_socket_t, short, void* self) noexcept {
  static_cast<ProxyArrival*>(self)->read();
}

void ProxyArrival::on_timer(evutil_socket_t, short, void* self) noexcept {
  static_cast<ProxyArrival*>(self)->end(tl::unexpected(std::string_view("not there in time")));
}

void ProxyArrival::read() {
  std::array<char, kLongestProxyHeader> buffer;
  while (true) {
    const auto missing = proxy_octets_missing(header_);
    if (!missing) return end(tl::unexpected(missing.error()));
    if (*missing == 0) return end(parse_proxy_header(header_));
    const ssize_t got = ::recv(socket_.get(), buffer.data(), *missing, 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (got <= 0) return end(tl::unexpected(std::string_view(header_.empty() ? "" : "cut short")));
    header_.append(buffer.data(), static_cast<std::size_t>(got));
  }
}

void ProxyArrival::end(const tl::expected<ProxyHeader, std::string_view>& header) {
  // The descriptor is another's from here on.
  event_del(readable_.get());
  event_del(timer_.get());
  owner_.on_proxy_header(name_, header);
}

}  // namespace lmtpd::frontend
