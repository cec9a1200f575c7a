#include "maildir/unique_name.h"

#include <fmt/format.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include <atomic>

namespace lmtpd::maildir {
namespace {

// A file name has 255 octets, and what stands around the host at most 120.
constexpr std::size_t kLongestHost = 128;

// Shared by all objects of the process: the pid tells processes apart, this the names of one.
std::atomic<std::uint64_t> g_sequence{0};

}  // namespace

UniqueNames::UniqueNames(std::string_view host) {
  for (const char c : host) {
    const std::string piece = c == '/'   ? "\\057"
                              : c == ':' ? "\\072"
                              : c == ',' ? "\\054"
                                         : std::string(1, c);
    if (host_.size() + piece.size() > kLongestHost) break;
    host_ += piece;
  }
}

std::string UniqueNames::next(MessageSize size) const { return make(size, ""); }

std::string UniqueNames::next_random(MessageSize size) const {
  std::uint64_t random = 0;
  // Does not fail for so few octets once the system is up; the name is new even without them.
  [[maybe_unused]] const ssize_t got = ::getrandom(&random, sizeof random, 0);
  return make(size, fmt::format("R{:x}", random));
}

std::string UniqueNames::make(MessageSize size, std::string_view random) const {
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  return fmt::format("{}.M{}P{}Q{}{}.{},S={},W={}", now.tv_sec, now.tv_nsec / 1000, ::getpid(),
                     g_sequence.fetch_add(1, std::memory_order_relaxed), random, host_,
                     size.on_disk, size.wire);
}

}  // namespace lmtpd::maildir
