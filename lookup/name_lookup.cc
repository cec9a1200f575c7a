#include "lookup/name_lookup.h"

#include <fmt/format.h>
#include <netdb.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <memory>
#include <system_error>
#include <thread>

#include "lmtpd/base/log.h"

namespace lmtpd::lookup {
namespace {

struct AddrinfoDeleter {
  void operator()(addrinfo* list) const { freeaddrinfo(list); }
};

std::string resolve(const std::string& host) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int code = getaddrinfo(host.c_str(), nullptr, &hints, &found);
  if (code != 0) return fmt::format("!{}", gai_strerror(code));
  const std::unique_ptr<addrinfo, AddrinfoDeleter> list(found);
  std::string addresses;
  for (const addrinfo* one = list.get(); one != nullptr; one = one->ai_next) {
    std::array<char, NI_MAXHOST> numeric{};
    if (getnameinfo(one->ai_addr, one->ai_addrlen, numeric.data(), numeric.size(), nullptr, 0,
                    NI_NUMERICHOST) == 0) {
      addresses += fmt::format("{}\n", numeric.data());
    }
  }
  return addresses.empty() ? "!no address" : addresses;
}

}  // namespace

NameLookup::NameLookup(event_base* base, std::string host, Owner& owner)
    : host_(std::move(host)), owner_(owner) {
  std::array<int, 2> ends{-1, -1};
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) == 0) {
    answer_.reset(ends[0]);
    UniqueFd theirs(ends[1]);
    try {
      std::thread([name = host_, out = std::move(theirs)] {
        const std::string text = resolve(name);
        // Nobody may be there to read it.
        [[maybe_unused]] const ssize_t sent =
            send(out.get(), text.data(), text.size(), MSG_NOSIGNAL);
      }).detach();
    } catch (const std::system_error& failed) {
      text_ = fmt::format("!no thread: {}", failed.what());
    }
  } else {
    text_ = "!" + errno_text("socketpair", errno);
  }
  event_.reset(event_new(base, answer_.get(), EV_READ | EV_PERSIST, on_readable, this));
  if (text_.empty()) {
    event_add(event_.get(), nullptr);
  } else {
    event_active(event_.get(), EV_READ, 1);
  }
}

void NameLookup::on_readable(evutil_socket_t, short, void* self) noexcept {
  static_cast<NameLookup*>(self)->read();
}

void NameLookup::read() {
  if (!text_.starts_with('!')) {
    std::array<char, 4096> buffer{};
    const ssize_t got = recv(answer_.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (got > 0) {
      text_.append(buffer.data(), static_cast<std::size_t>(got));
      return;
    }
  }
  event_del(event_.get());
  std::vector<std::string> addresses;
  std::string_view rest = text_;
  if (rest.empty()) rest = "!no answer";
  if (rest.starts_with('!')) {
    return owner_.on_addresses(fail(
        Reason::lookup_failed, fmt::format("{}: {}", escaped(host_), escaped(rest.substr(1)))));
  }
  while (!rest.empty()) {
    const std::size_t end = rest.find('\n');
    addresses.emplace_back(rest.substr(0, end));
    rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
  }
  owner_.on_addresses(std::move(addresses));
}

}  // namespace lmtpd::lookup
