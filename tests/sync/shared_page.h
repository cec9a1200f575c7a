// tests/sync/shared_page.h -- the memory and the bell between a SyncServer and a SharedSync.
#pragma once

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <array>
#include <chrono>

#include "lmtpd/base/shared_sync.h"
#include "lmtpd/sync/sync_server.h"

namespace lmtpd::testing {

class SharedPage {
 public:
  SharedPage() : page_(make_sync_page().value()) {
    std::array<int, 2> bell{-1, -1};
    if (::pipe2(bell.data(), O_CLOEXEC) != 0) throw std::runtime_error("pipe2");
    bell_out_ = UniqueFd(bell[0]);
    bell_in_ = UniqueFd(bell[1]);
    ::fcntl(bell_in_.get(), F_SETFL, O_NONBLOCK);
  }

  [[nodiscard]] SharedSync client(Clock::duration patience = std::chrono::minutes(1)) const {
    return SharedSync::open(readable(), duplicate(bell_in_), patience).value();
  }
  [[nodiscard]] sync::SyncServer server(int (*syncfs)(int),
                                        Clock::duration slow = std::chrono::minutes(1)) const {
    return sync::SyncServer::open(
               {"/mail", UniqueFd(::open("/usr", O_RDONLY | O_CLOEXEC)), duplicate(bell_out_)},
               page_, slow, syncfs)
        .value();
  }
  // As a worker gets it.
  [[nodiscard]] UniqueFd readable() const {
    return UniqueFd(
        ::open(fmt::format("/proc/self/fd/{}", page_.get()).c_str(), O_RDONLY | O_CLOEXEC));
  }

  void ring() const { ASSERT_EQ(::write(bell_in_.get(), "", 1), 1); }
  // Not yet heard.
  [[nodiscard]] int rings() const {
    int octets = 0;
    ::ioctl(bell_out_.get(), FIONREAD, &octets);
    return octets;
  }
  // No server hears anything any more, once none of their threads reads.
  void fill_the_bell() const {
    while (::write(bell_in_.get(), "", 1) == 1) {
    }
  }
  void close_the_bell() { bell_in_ = UniqueFd(); }

 private:
  static UniqueFd duplicate(const UniqueFd& fd) {
    return UniqueFd(::fcntl(fd.get(), F_DUPFD_CLOEXEC, 0));
  }

  UniqueFd page_;
  UniqueFd bell_out_;
  UniqueFd bell_in_;
};

}  // namespace lmtpd::testing
