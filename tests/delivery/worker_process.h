// tests/delivery/worker_process.h -- a real lmtpd-worker, with a test in the place of master and of
// the frontends.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lmtpd/base/channel.h"
#include "lmtpd/base/config/parameters.h"
#include "lmtpd/base/messages.h"
#include "lmtpd/base/role_start.h"
#include "lmtpd/base/ticket.h"

namespace lmtpd::testing {

inline constexpr std::chrono::seconds kPatience{60};

// One end of a channel, read a message at a time.
class Peer {
 public:
  explicit Peer(UniqueFd socket) : channel_(std::move(socket)) {}

  template <class Message>
  void send(const Message& message, std::vector<UniqueFd> descriptors = {}) {
    channel_.send(message, std::move(descriptors));
    flush();
  }
  // For several in one packet: queue() each, then flush().
  template <class Message>
  void queue(const Message& message, std::vector<UniqueFd> descriptors = {}) {
    channel_.send(message, std::move(descriptors));
  }
  void flush() { ASSERT_EQ(channel_.flush(), Channel::Status::ok); }

  struct Received {
    MessageType type;
    std::string payload;
  };
  // nullopt: the other end closed. Fails the test where nothing comes.
  std::optional<Received> next() {
    while (next_ == frames_.size()) {
      Packet packet;
      const Channel::Status status = channel_.receive(packet);
      if (status == Channel::Status::closed) return std::nullopt;
      if (status == Channel::Status::would_block) {
        pollfd waited{channel_.fd(), POLLIN, 0};
        if (::poll(&waited, 1, std::chrono::milliseconds(kPatience).count()) <= 0) {
          ADD_FAILURE() << "the worker says nothing";
          return std::nullopt;
        }
        continue;
      }
      for (const Frame& frame : packet.frames()) {
        frames_.push_back({static_cast<MessageType>(frame.type), std::string(frame.payload)});
      }
    }
    return frames_[next_++];
  }

  // Whether nothing has come that is not heard yet.
  [[nodiscard]] bool is_silent() const {
    pollfd waited{channel_.fd(), POLLIN, 0};
    return next_ == frames_.size() && ::poll(&waited, 1, 0) == 0;
  }

  // The next message in words: "1 stored", "2 REASON: text", "leaving", "make 1", "closed".
  std::string hear() {
    const std::optional<Received> received = next();
    if (!received) return "closed";
    switch (received->type) {
      case MessageType::outcome: {
        const auto outcome = decode<Outcome>(received->payload);
        if (!outcome) return "a malformed outcome";
        if (outcome->stored) return std::to_string(outcome->id) + " stored";
        return std::to_string(outcome->id) + " " + reason(outcome->reason) + ": " +
               std::string(outcome->text);
      }
      case MessageType::leaving:
        return "leaving";
      case MessageType::ready:
        return "ready";
      case MessageType::make_mailbox: {
        const auto request = decode<MakeMailbox>(received->payload);
        if (!request) return "a malformed request";
        last_ticket_ = request->ticket;
        return "make " + std::to_string(request->id);
      }
      default:
        return "a message of type " + std::to_string(static_cast<int>(received->type));
    }
  }
  // As many, in no order that a test may rely on.
  std::vector<std::string> hear(std::size_t count) {
    std::vector<std::string> told;
    while (told.size() < count) told.push_back(hear());
    return told;
  }
  // The ticket of the last "make".
  [[nodiscard]] const std::string& last_ticket() const { return last_ticket_; }

 private:
  static std::string reason(Reason value) {
    switch (value) {
      case Reason::no_access:
        return "no_access";
      case Reason::no_space:
        return "no_space";
      case Reason::io:
        return "io";
      default:
        return "reason " + std::to_string(static_cast<int>(value));
    }
  }

  Channel channel_;
  std::vector<Received> frames_;
  std::size_t next_ = 0;
  std::string last_ticket_;
};

class WorkerProcess {
 public:
  // `prefix` is a program to run it under, with its arguments.
  WorkerProcess(const std::string& mail_base, MailboxOwner owner,
                const std::vector<std::string>& prefix = {})
      : owner_(owner) {
    auto pair = make_channel_pair();
    if (!pair) throw std::runtime_error("no channel");
    std::vector<std::string> arguments = prefix;
    arguments.emplace_back(LMTPD_WORKER);
    pid_ = ::fork();
    if (pid_ == 0) execute(pair->second.release(), arguments);
    pair->second.reset();
    master.emplace(std::move(pair->first));
    const std::string parameters = parameters_for(mail_base);
    master->queue(Configure{
        .parameters = parameters, .owner = owner, .key = derive_worker_key(ticket_key, owner)});
    master->queue(Start{});
    master->flush();
  }
  ~WorkerProcess() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  WorkerProcess(const WorkerProcess&) = delete;
  WorkerProcess& operator=(const WorkerProcess&) = delete;

  [[nodiscard]] pid_t pid() const { return pid_; }

  Peer introduce(std::uint32_t instance = 0) {
    auto pair = make_channel_pair();
    std::vector<UniqueFd> descriptors;
    descriptors.push_back(std::move(pair->second));
    master->send(
        Introduce{.kind = static_cast<std::uint8_t>(PeerKind::frontend), .instance = instance},
        std::move(descriptors));
    return Peer(std::move(pair->first));
  }

  [[nodiscard]] std::string ticket(std::string_view path,
                                   Clock::duration life = std::chrono::minutes(10)) const {
    return seal_ticket(
        ticket_key,
        Ticket{owner_, MailboxPath::parse(std::string(path) + "/").value(), Clock::now() + life});
  }

  // Its exit status, once it ends; -1 if a signal ended it.
  int wait() {
    int status = 0;
    EXPECT_EQ(::waitpid(pid_, &status, 0), pid_);
    pid_ = -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }

  Key ticket_key = make_ticket_key();
  std::optional<Peer> master;

 private:
  [[noreturn]] static void execute(int control, const std::vector<std::string>& arguments) {
    if (::dup2(control, kControlFd) < 0) ::_exit(126);
    std::vector<char*> pointers;
    for (const std::string& argument : arguments) {
      pointers.push_back(const_cast<char*>(argument.c_str()));
    }
    pointers.push_back(nullptr);
    ::execvp(pointers[0], pointers.data());
    ::_exit(127);
  }

  static std::string parameters_for(const std::string& mail_base) {
    const auto read = [&](const std::string&) -> Result<std::string> {
      return "virtual_mailbox_base = " + mail_base +
             "\n"
             "virtual_mailbox_maps = static:x\n"
             "virtual_uid_maps = static:1\n"
             "virtual_gid_maps = static:1\n"
             "myhostname = mx.example.org\n";
    };
    const auto loaded = Parameters::load("lmtpd.cf", read, "mx.example.org");
    if (!loaded) throw std::runtime_error(loaded.error().text);
    return loaded->serialise();
  }

  MailboxOwner owner_;
  pid_t pid_ = -1;
};

// A memfd of `text`, with these seals.
inline UniqueFd memfd_of(std::string_view text, int seals) {
  UniqueFd fd(::memfd_create("body", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  EXPECT_EQ(::write(fd.get(), text.data(), text.size()), static_cast<ssize_t>(text.size()));
  EXPECT_EQ(::fcntl(fd.get(), F_ADD_SEALS, seals), 0);
  return fd;
}
inline constexpr int kAllSeals = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;

}  // namespace lmtpd::testing
