// tests/master/fake_role.cc -- stands in a role's place and does what a test tells it.
//
// Copied under each role's name beside a copy of lmtpd. It connects to the socket `observer` beside
// itself, writes a line of tab-separated key=value for all that happens to it, and obeys the lines
// that come back. By itself it does nothing: it neither says Ready nor ends at Stop; it ends when
// its control channel does.
#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <span>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "lmtpd/base/channel.h"
#include "lmtpd/base/messages.h"
#include "lmtpd/base/role_start.h"
#include "lmtpd/base/ticket.h"

namespace {

using namespace lmtpd;  // NOLINT: a test program of one file

std::string hex(std::string_view octets) {
  std::string out;
  for (const char c : octets) out += fmt::format("{:02x}", static_cast<unsigned char>(c));
  return out;
}

std::string unhex(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i + 1 < text.size(); i += 2) {
    out += static_cast<char>(std::stoi(std::string(text.substr(i, 2)), nullptr, 16));
  }
  return out;
}

std::string contents(int fd) {
  std::string text(4096, '\0');
  const ssize_t got = ::read(fd, text.data(), text.size());
  text.resize(got < 0 ? 0 : static_cast<std::size_t>(got));
  return text;
}

std::string bound_to(int fd) {
  sockaddr_storage address{};
  socklen_t length = sizeof address;
  if (::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &length) != 0) return "nothing";
  if (address.ss_family == AF_UNIX) {
    return "unix:" + std::string(reinterpret_cast<sockaddr_un*>(&address)->sun_path);
  }
  return fmt::format("inet:{}", ntohs(reinterpret_cast<sockaddr_in*>(&address)->sin_port));
}

// What it is, how it is open, and which one: "directory read nonblock 4711".
std::string kind_of(int fd) {
  struct stat status{};
  const int flags = ::fcntl(fd, F_GETFL);
  if (flags < 0 || ::fstat(fd, &status) != 0) return "nothing";
  const std::string_view type = S_ISDIR(status.st_mode) ? "directory" : "file";
  const std::string_view access = (flags & O_ACCMODE) == O_RDONLY   ? "read"
                                  : (flags & O_ACCMODE) == O_WRONLY ? "write"
                                                                    : "both";
  return fmt::format("{} {}{} {}", type, access, (flags & O_NONBLOCK) != 0 ? " nonblock" : "",
                     status.st_ino);
}

// Means nothing to it, but every holder of the same open file sees it, and no other.
void set_nonblocking(int fd) { ::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) | O_NONBLOCK); }

class FakeRole {
 public:
  explicit FakeRole(std::string title) : control_(UniqueFd(kControlFd)), title_(std::move(title)) {}

  [[noreturn]] void run() {
    connect_observer();
    report(fmt::format("hello\ttitle={}\tpid={}\tobserver={}\tsid={}", title_, ::getpid(),
                       observer_.get(), ::getsid(0)));
    while (true) {
      std::vector<pollfd> set = {{control_.fd(), POLLIN, 0}, {observer_.get(), POLLIN, 0}};
      std::vector<int> numbers;
      for (auto& [number, channel] : channels_) {
        set.push_back({channel.fd(), POLLIN, 0});
        numbers.push_back(number);
      }
      ::poll(set.data(), set.size(), -1);
      if (set[0].revents != 0 && !deaf_) read_control();
      if (set[1].revents != 0) read_orders();
      for (std::size_t i = 0; i < numbers.size(); ++i) {
        if (set[i + 2].revents != 0) read_channel(numbers[i]);
      }
    }
  }

 private:
  void connect_observer() {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    const std::string path =
        std::filesystem::read_symlink("/proc/self/exe").parent_path() / "observer";
    std::ranges::copy(path, address.sun_path);
    observer_.reset(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (::connect(observer_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
      std::_Exit(EXIT_FAILURE);
    }
  }

  void report(const std::string& line) {
    // When it happened: whoever observes may read it late. The clock is Python's time.monotonic().
    const auto now = std::chrono::steady_clock::now().time_since_epoch();
    const std::string whole =
        fmt::format("{}\tat={}\n", line, std::chrono::duration<double>(now).count());
    if (::write(observer_.get(), whole.data(), whole.size()) < 0) std::_Exit(EXIT_FAILURE);
  }

  void read_control() {
    Packet packet;
    const Channel::Status status = control_.receive(packet);
    if (status == Channel::Status::would_block) return;
    if (status == Channel::Status::closed) {
      report("control_ended");
      std::_Exit(EXIT_SUCCESS);
    }
    for (Frame& frame : packet.frames()) on_control(frame);
  }

  void on_control(Frame& frame) {
    switch (static_cast<MessageType>(frame.type)) {
      case MessageType::configure: {
        const auto message = decode<Configure>(frame.payload).value();
        key_ = message.key;
        const bool has_key =
            std::ranges::any_of(key_, [](std::uint8_t octet) { return octet != 0; });
        return report(
            fmt::format("configure\tparameters={}\tinstance={}\tuid={}\tgid={}\thas_key={}",
                        message.parameters.size(), message.instance, message.owner.uid.value(),
                        message.owner.gid.value(), has_key));
      }
      case MessageType::file:
        return report(fmt::format("file\tpath={}\tcontents={}",
                                  decode<File>(frame.payload).value().path,
                                  hex(contents(frame.descriptors[0].get()))));
      case MessageType::listener:
        listeners_.push_back(std::move(frame.descriptors[0]));
        return report(fmt::format("listener\tindex={}\tbound={}",
                                  decode<Listener>(frame.payload).value().index,
                                  bound_to(listeners_.back().get())));
      case MessageType::counter_page:
        return report(
            fmt::format("counter_page\twritable={}",
                        (::fcntl(frame.descriptors[0].get(), F_GETFL) & O_ACCMODE) == O_RDWR));
      case MessageType::shared_sync: {
        const auto message = decode<SharedSyncOf>(frame.payload).value();
        return report(fmt::format("shared_sync\tdevice={}\tdescriptors={}", message.device,
                                  keep(frame.descriptors)));
      }
      case MessageType::file_system_to_sync: {
        const auto message = decode<FileSystemToSync>(frame.payload).value();
        const std::string kinds = keep(frame.descriptors);
        set_nonblocking(kept_.back().get());  // the root's
        return report(
            fmt::format("file_system_to_sync\tpath={}\tdescriptors={}", message.path, kinds));
      }
      case MessageType::start:
        return report("start");
      case MessageType::serve:
        return report("serve");
      case MessageType::retire:
        return report("retire");
      case MessageType::stop:
        return report("stop");
      case MessageType::introduce: {
        const auto message = decode<Introduce>(frame.payload).value();
        const int number = next_channel_++;
        channels_.emplace(number, Channel(std::move(frame.descriptors[0])));
        return report(fmt::format("introduce\tkind={}\tinstance={}\tuid={}\tgid={}\tchannel={}",
                                  message.kind, message.instance, message.owner.uid.value(),
                                  message.owner.gid.value(), number));
      }
      case MessageType::worker_refused: {
        const auto message = decode<WorkerRefused>(frame.payload).value();
        return report(fmt::format("worker_refused\tuid={}\tgid={}\treason={}\ttext={}",
                                  message.owner.uid.value(), message.owner.gid.value(),
                                  static_cast<int>(message.reason), message.text));
      }
      case MessageType::mailbox_made: {
        const auto message = decode<MailboxMade>(frame.payload).value();
        return report(fmt::format("mailbox_made\tid={}\tmade={}\treason={}\ttext={}", message.id,
                                  message.made, static_cast<int>(message.reason), message.text));
      }
      default:
        return report(fmt::format("unknown\ttype={}", frame.type));
    }
  }

  // Open; the kind of each.
  std::string keep(std::span<UniqueFd> fds) {
    std::string kinds;
    for (UniqueFd& fd : fds) {
      kinds += (kinds.empty() ? "" : ",") + kind_of(fd.get());
      kept_.push_back(std::move(fd));
    }
    return kinds;
  }

  void read_channel(int number) {
    Packet packet;
    const auto found = channels_.find(number);
    const Channel::Status status = found->second.receive(packet);
    if (status == Channel::Status::would_block) return;
    if (status == Channel::Status::closed) {
      channels_.erase(found);
      return report(fmt::format("channel_ended\tchannel={}", number));
    }
    for (const Frame& frame : packet.frames()) {
      report(fmt::format("heard\tchannel={}\ttext={}", number,
                         decode<Resolve>(frame.payload).value().address));
    }
  }

  void read_orders() {
    char buffer[16384];
    const ssize_t got = ::read(observer_.get(), buffer, sizeof buffer);
    if (got <= 0) std::_Exit(EXIT_SUCCESS);
    orders_.append(buffer, static_cast<std::size_t>(got));
    for (std::size_t end = 0; (end = orders_.find('\n')) != std::string::npos;) {
      obey(orders_.substr(0, end));
      orders_.erase(0, end + 1);
    }
  }

  template <class Message>
  void say(const Message& message) {
    control_.send(message);
    static_cast<void>(control_.flush());
  }

  void obey(const std::string& order) {
    std::istringstream words(order);
    std::string verb;
    words >> verb;
    std::uint32_t frontend = 0;
    std::uint32_t uid = 0;
    std::uint32_t gid = 0;
    if (verb == "ready") return say(Ready{});
    if (verb == "deaf") {
      deaf_ = true;
    } else if (verb == "exit") {
      int status = 0;
      words >> status;
      std::_Exit(status);
    } else if (verb == "start_worker") {
      words >> frontend >> uid >> gid;
      say(StartWorker{frontend, {Uid(uid), Gid(gid)}});
    } else if (verb == "expel_worker") {
      words >> uid >> gid;
      say(ExpelWorker{{Uid(uid), Gid(gid)}});
    } else if (verb == "listen") {  // again, on the first of its listeners
      int backlog = 0;
      words >> backlog;
      report(fmt::format("listens\tfailed={}", ::listen(listeners_.at(0).get(), backlog)));
    } else if (verb == "want_lookup") {
      say(WantLookup{});
    } else if (verb == "make_mailbox") {
      std::uint64_t id = 0;
      std::string ticket;
      words >> id >> ticket;
      const std::string octets = unhex(ticket);
      say(MakeMailbox{id, octets});
    } else if (verb == "make_mailboxes") {  // so many, in one packet
      std::uint64_t count = 0;
      std::string ticket;
      words >> count >> ticket;
      const std::string octets = unhex(ticket);
      for (std::uint64_t id = 0; id < count; ++id) control_.send(MakeMailbox{id, octets});
      static_cast<void>(control_.flush());
    } else if (verb == "seal") {  // with the key of Configure
      std::string path;
      int seconds = 0;
      words >> uid >> gid >> path >> seconds;
      const Ticket ticket{{Uid(uid), Gid(gid)},
                          MailboxPath::parse(path).value(),
                          Clock::now() + std::chrono::seconds(seconds)};
      report("sealed\tticket=" + hex(seal_ticket(key_, ticket)));
    } else if (verb == "say") {
      int number = 0;
      std::string text;
      words >> number >> text;
      Channel& channel = channels_.at(number);
      channel.send(Resolve{1, text});
      static_cast<void>(channel.flush());
    }
  }

  Channel control_;
  std::string title_;
  UniqueFd observer_;
  std::string orders_;
  Key key_{};
  std::vector<UniqueFd> listeners_;
  std::vector<UniqueFd> kept_;
  std::map<int, Channel> channels_;
  int next_channel_ = 0;
  bool deaf_ = false;
};

}  // namespace

int main(int, char** argv) {
  const std::string_view name = argv[0];
  const std::size_t colon = name.find(": ");
  FakeRole(std::string(colon == std::string_view::npos ? name : name.substr(colon + 2))).run();
}
