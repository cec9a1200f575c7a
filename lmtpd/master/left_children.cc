#include "lmtpd/master/left_children.h"

#include <signal.h>
#include <sys/wait.h>

#include <vector>

namespace lmtpd::master {
namespace {

std::vector<pid_t> g_left;

}  // namespace

void leave_child(pid_t pid) {
  ::kill(pid, SIGKILL);
  g_left.push_back(pid);
}

void reap_left_children() {
  std::erase_if(g_left, [](pid_t pid) { return ::waitpid(pid, nullptr, WNOHANG) == pid; });
}

}  // namespace lmtpd::master
