// lmtpd/master/role_process.h -- one running role: its process and its control channel.
//
// It is exec'ed as root and drops in its own main. What it inherits: descriptor 3, the control
// channel; 0 and 1, /dev/null; 2; an environment of a PATH and a time zone; a session of its own,
// so that a terminal's Ctrl-C reaches master alone. If master dies it reads the end of its control
// channel, and ends.
#pragma once

#include <sys/types.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "lmtpd/base/channel.h"
#include "lmtpd/base/messages.h"
#include "lmtpd/master/poll_set.h"
#include "lmtpd/master/role_program.h"

namespace lmtpd::master {

class RoleProcess {
 public:
  // Whether the role may say this now. What it does is the callee's; false: it is killed.
  using OnFrame = std::function<bool(RoleProcess&, Frame&)>;

  // `title` is for the log: "frontend 0". Fails with errno's words; the caller tries again later.
  [[nodiscard]] static Result<std::unique_ptr<RoleProcess>> launch(const RoleProgram& program,
                                                                   std::string title);
  // Kills a process that was not reaped, and leaves it (left_children.h): one that hangs in the
  // kernel holds nobody up.
  ~RoleProcess();
  RoleProcess(const RoleProcess&) = delete;
  RoleProcess& operator=(const RoleProcess&) = delete;

  [[nodiscard]] const std::string& title() const { return title_; }
  [[nodiscard]] pid_t pid() const { return pid_; }
  [[nodiscard]] Clock::time_point launched() const { return launched_; }
  [[nodiscard]] bool ready() const { return ready_; }
  [[nodiscard]] bool stopping() const { return stopping_; }
  [[nodiscard]] bool alive() const { return !killed_ && !status_; }
  // Neither dying nor asked to end: what new work goes to.
  [[nodiscard]] bool serves() const { return alive() && !stopping_; }

  // What it is told before Start; nothing else is sent to it before it says Ready.
  template <class Message>
  void tell(const Message& message, std::vector<UniqueFd> descriptors = {}) {
    if (killed_ || status_ || channel_ended_) return;
    channel_.send(message, std::move(descriptors));
    if (++unsent_ > kLongestBacklog) flush();
  }
  // Kept until the role is ready, one of each peer: a second takes the place of the first, whose
  // channel ends. So a role whose start hangs holds no more descriptors than it has peers.
  void introduce(const Introduce& introduction, UniqueFd channel);
  void set_ready();

  // Asks for an orderly end, once. A role that is not ready yet has nothing to end, and is killed.
  void stop();
  void kill();

  // Waits for messages, and for room for what is unsent.
  void wait_in(PollSet& set, const OnFrame& on_frame);
  // Sends what the turn has queued.
  void flush();
  // The status of waitpid(2), once it has ended.
  [[nodiscard]] std::optional<int> reap();

 private:
  // Messages, each of which may hold a descriptor, for a role that does not read: beyond, it is
  // killed.
  static constexpr std::size_t kLongestBacklog = 4096;

  RoleProcess(std::string title, pid_t pid, UniqueFd control)
      : title_(std::move(title)),
        pid_(pid),
        channel_(std::move(control)),
        launched_(Clock::now()) {}
  void receive(const OnFrame& on_frame);
  void break_with(const std::string& why);

  struct Introduction {
    Introduce message;
    UniqueFd channel;
  };

  std::string title_;
  pid_t pid_;
  Channel channel_;
  Clock::time_point launched_;
  std::vector<Introduction> introductions_;
  std::size_t unsent_ = 0;  // messages since the channel was last empty
  bool ready_ = false;
  bool stopping_ = false;
  bool killed_ = false;
  bool channel_ended_ = false;
  std::optional<int> status_;
};

// "exited with status 1", "killed by signal 9 (Killed)".
[[nodiscard]] std::string status_text(int status);

}  // namespace lmtpd::master
