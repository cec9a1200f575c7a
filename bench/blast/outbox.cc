#include "bench/blast/outbox.h"

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

namespace lmtpd::blast {

void Outbox::append(std::string_view octets) {
  if (octets.empty()) return;
  if (segments_.empty() || !segments_.back().shared.empty()) segments_.emplace_back();
  segments_.back().own += octets;
}

void Outbox::append_shared(std::string_view octets) {
  if (!octets.empty()) segments_.push_back({.own = {}, .shared = octets});
}

void Outbox::clear() {
  segments_.clear();
  written_ = 0;
}

Expected<void> Outbox::write_to(int fd) {
  while (!segments_.empty()) {
    std::array<iovec, 8> parts{};
    const std::size_t count = std::min(parts.size(), segments_.size());
    for (std::size_t i = 0; i < count; ++i) {
      std::string_view octets = segments_[i].octets();
      if (i == 0) octets.remove_prefix(written_);
      parts[i] = {const_cast<char*>(octets.data()), octets.size()};
    }
    msghdr message{};
    message.msg_iov = parts.data();
    message.msg_iovlen = count;
    const ssize_t n = ::sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) return {};
    if (n < 0) return complain(fmt::format("cannot send: {}", std::strerror(errno)));
    consume(static_cast<std::size_t>(n));
  }
  return {};
}

void Outbox::consume(std::size_t octets) {
  written_ += octets;
  while (!segments_.empty() && written_ >= segments_.front().octets().size()) {
    written_ -= segments_.front().octets().size();
    segments_.pop_front();
  }
}

}  // namespace lmtpd::blast
