// lmtpd-lookup and lmtpctl as they are executed: this test is master and a frontend.

#include <fcntl.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <spawn.h>
#include <sqlite3.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sysexits.h>

#include <array>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

#include "lmtpd/base/channel.h"
#include "lmtpd/base/config/parameters.h"
#include "lmtpd/base/config/settings.h"
#include "lmtpd/base/counters.h"
#include "lmtpd/base/messages.h"
#include "lmtpd/base/role_start.h"
#include "lmtpd/base/whole_file.h"
#include "lookup/files/table_files.h"

namespace lmtpd::lookup {
namespace {

constexpr const char* kSchema = R"sql(
CREATE TABLE transport (domain TEXT PRIMARY KEY, transport TEXT);
CREATE TABLE users (userid TEXT PRIMARY KEY, uid INTEGER, gid INTEGER, home TEXT);
CREATE TABLE virtual (address TEXT PRIMARY KEY, userid TEXT);
CREATE VIEW postfix_mailboxes AS SELECT userid, home||'/' AS mailbox FROM users
  UNION ALL SELECT domain, 'dummy' FROM transport;
CREATE VIEW postfix_virtual AS SELECT userid, userid AS address FROM users
  UNION ALL SELECT userid, address FROM virtual;
INSERT INTO transport VALUES ('domain.org','virtual:'),('foo.org','virtual:');
INSERT INTO users VALUES ('user@domain.org',1001,1001,'domain.org/mails/user'),
  ('user@foo.org',1002,1002,'foo.org/mails/user'),
  ('nobody@foo.org',65534,1002,'foo.org/mails/nobody');
INSERT INTO virtual VALUES ('foo@foo.org','user@foo.org'),('away@foo.org','x@remote.example');
)sql";

class LookupProgram : public testing::Test {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "the role starts as root, to drop it";
    std::string form = "/tmp/lmtpd-lookup-test.XXXXXX";
    folder_ = ::mkdtemp(form.data());
    ::chmod(folder_.c_str(), 0755);
    make_database();
    for (const auto& [name, table] :
         {std::pair<std::string, std::string>{"virtual",
                                              "table = postfix_virtual\nselect_field = userid\n"
                                              "where_field = address\n"},
          {"mailboxes",
           "query = SELECT mailbox FROM postfix_mailboxes "
           "WHERE userid = '%s'\n"},
          {"uids", "query = SELECT uid FROM users WHERE userid = '%s'\n"},
          {"gids", "query = SELECT gid FROM users WHERE userid = '%s'\n"}}) {
      write(name + ".cf", fmt::format("dbpath = {}/mail.db\n{}", folder_, table));
      ::chmod((folder_ + "/" + name + ".cf").c_str(), 0600);  // not for the role's own user
    }
  }
  void TearDown() override {
    if (pid_ > 0) {
      ::kill(pid_, SIGKILL);
      ::waitpid(pid_, nullptr, 0);
    }
    if (!folder_.empty()) std::filesystem::remove_all(folder_);
  }

  void make_database() {
    sqlite3* database = nullptr;
    const std::string path = folder_ + "/mail.db";
    ASSERT_EQ(sqlite3_open(path.c_str(), &database), SQLITE_OK);
    ASSERT_EQ(sqlite3_exec(database, kSchema, nullptr, nullptr, nullptr), SQLITE_OK);
    sqlite3_close(database);
    ::chmod(path.c_str(), 0644);
  }
  void write(const std::string& name, const std::string& text) const {
    std::ofstream(folder_ + "/" + name) << text;
  }
  [[nodiscard]] std::string socket_path() const { return folder_ + "/control"; }

  void start(const std::string& extra = "", const std::string& type = "sqlite") {
    write("lmtpd.cf", fmt::format(R"(postfix_config_directory =
virtual_mailbox_base = /home
virtual_alias_maps = {1}:{0}/virtual.cf
virtual_mailbox_maps = {1}:{0}/mailboxes.cf
virtual_uid_maps = {1}:{0}/uids.cf
virtual_gid_maps = {1}:{0}/gids.cf
lookup_user = nobody
frontend_user = daemon
control_socket = {0}/control
{2}
)",
                                  folder_, type, extra));
    auto parameters = Parameters::load(folder_ + "/lmtpd.cf");
    ASSERT_TRUE(parameters) << parameters.error().text;
    const auto settings = Settings::parse(*parameters);
    ASSERT_TRUE(settings) << settings.error().text;
    auto pair = make_channel_pair();
    spawn(pair->second.get());
    pair->second.reset();
    master_ = std::make_unique<Channel>(std::move(pair->first));
    const std::string text = parameters->serialise();
    master_->send(Configure{.parameters = text, .owner = kNobody, .key = key_});
    const auto files = files_of(sources_of(*settings), [](const std::string& path) {
      const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
      return read_whole_file(path, fd.get());
    });
    ASSERT_TRUE(files) << files.error().text;
    for (const std::string& path : *files) {
      master_->send(File{path}, one(UniqueFd(::open(path.c_str(), O_RDONLY | O_CLOEXEC))));
    }
    master_->send(Listener{}, one(listening_socket()));
    master_->send(CounterPage{}, one(UniqueFd(::fcntl(counter_page_.get(), F_DUPFD_CLOEXEC, 0))));
    master_->send(Start{});
    ASSERT_EQ(master_->flush(), Channel::Status::ok);
  }
  void spawn(int control) {
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, control, kControlFd);
    std::string program = LMTPD_LOOKUP_PROGRAM;
    std::array<char*, 2> arguments = {program.data(), nullptr};
    ASSERT_EQ(::posix_spawn(&pid_, program.c_str(), &actions, nullptr, arguments.data(), environ),
              0);
    posix_spawn_file_actions_destroy(&actions);
  }
  static std::vector<UniqueFd> one(UniqueFd fd) {
    std::vector<UniqueFd> list;
    list.push_back(std::move(fd));
    return list;
  }
  [[nodiscard]] UniqueFd listening_socket() const {
    UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    socket_path().copy(address.sun_path, sizeof address.sun_path - 1);
    EXPECT_EQ(::bind(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    EXPECT_EQ(::listen(socket.get(), 5), 0);
    return socket;
  }

  // The next packet, or nullptr at the end of file.
  static Packet* receive(Channel& channel, Packet& packet) {
    while (true) {
      const Channel::Status status = channel.receive(packet);
      if (status == Channel::Status::ok) return &packet;
      if (status == Channel::Status::closed) return nullptr;
      pollfd waited{channel.fd(), POLLIN, 0};
      if (::poll(&waited, 1, 60'000) == 0) return nullptr;
    }
  }
  void expect_ready() {
    Packet packet;
    ASSERT_NE(receive(*master_, packet), nullptr);
    EXPECT_EQ(packet.frames()[0].type, static_cast<std::uint16_t>(MessageType::ready));
  }
  // As above, and lmtpctl is answered from then on.
  void serve() {
    expect_ready();
    master_->send(Serve{});
    EXPECT_EQ(master_->flush(), Channel::Status::ok);
  }
  int exit_status() {
    int status = 0;
    EXPECT_EQ(::waitpid(pid_, &status, 0), pid_);
    pid_ = -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }

  struct Run {
    int status;
    std::string output;
  };
  static Run lmtpctl(const std::string& arguments) {
    FILE* pipe = ::popen(fmt::format("{} {} 2>&1", LMTPCTL_PROGRAM, arguments).c_str(), "r");
    Run run{-1, ""};
    std::array<char, 4096> text{};
    while (::fgets(text.data(), text.size(), pipe) != nullptr) run.output += text.data();
    run.status = WEXITSTATUS(::pclose(pipe));
    return run;
  }
  [[nodiscard]] Run resolve(const std::string& address) const {
    return lmtpctl(fmt::format("-s {} resolve '{}'", socket_path(), address));
  }

  static constexpr MailboxOwner kNobody{Uid(65534), Gid(65534)};  // Debian's nobody, nogroup
  const Key key_ = make_ticket_key();
  const UniqueFd counter_page_ = *make_shared_memory<CounterNumbers>();
  std::string folder_;
  std::unique_ptr<Channel> master_;
  pid_t pid_ = -1;
};

TEST_F(LookupProgram, ResolvesForFrontendsAndEndsInOrder) {
  start();
  expect_ready();
  auto pair = make_channel_pair();
  Channel frontend(std::move(pair->first));
  master_->send(Introduce{.kind = static_cast<std::uint8_t>(PeerKind::frontend), .instance = 0},
                one(std::move(pair->second)));
  ASSERT_EQ(master_->flush(), Channel::Status::ok);
  frontend.send(Resolve{9, "foo@foo.org"});
  ASSERT_EQ(frontend.flush(), Channel::Status::ok);
  Packet packet;
  ASSERT_NE(receive(frontend, packet), nullptr);
  const auto resolved = decode<Resolved>(packet.frames()[0].payload);
  ASSERT_TRUE(resolved);
  ASSERT_EQ(resolved->targets.size(), 1U) << resolved->text;
  const auto ticket = open_ticket_as_maker(key_, resolved->targets[0].ticket, Clock::now());
  ASSERT_TRUE(ticket);
  EXPECT_EQ(ticket->owner, (MailboxOwner{Uid(1002), Gid(1002)}));
  EXPECT_EQ(ticket->path.value(), "foo.org/mails/user");
  master_->send(Stop{});
  ASSERT_EQ(master_->flush(), Channel::Status::ok);
  EXPECT_EQ(exit_status(), 0);
}

TEST_F(LookupProgram, RunsAsItsUserWithNothingElse) {
  start();
  expect_ready();
  std::ifstream status(fmt::format("/proc/{}/status", pid_));
  std::stringstream text;
  text << status.rdbuf();
  for (const char* line :
       {"Uid:\t65534\t65534\t65534\t65534\n", "Gid:\t65534\t65534\t65534\t65534\n",
        "CapEff:\t0000000000000000\n", "CapPrm:\t0000000000000000\n", "NoNewPrivs:\t1\n"}) {
    EXPECT_NE(text.str().find(line), std::string::npos) << line << text.str();
  }
}

TEST_F(LookupProgram, AnswersLmtpctl) {
  start();
  serve();
  const Run found = resolve("foo+x@foo.org");
  EXPECT_EQ(found.status, 0);
  EXPECT_EQ(found.output,
            "path=/home/foo.org/mails/user/, uid=1002, gid=1002, delivered_to=<user+x@foo.org>\n");
  const Run unknown = resolve("nobody@domain.org");
  EXPECT_EQ(unknown.status, 1);
  EXPECT_TRUE(unknown.output.starts_with("550 5.1.1 ")) << unknown.output;
  const Run malformed = resolve("a b@domain.org");
  EXPECT_EQ(malformed.status, 1);
  EXPECT_TRUE(malformed.output.starts_with("553 5.1.3 ")) << malformed.output;
  const Run remote = resolve("away@foo.org");
  EXPECT_EQ(remote.status, EX_TEMPFAIL);
  EXPECT_NE(remote.output.find("451 4.3.5 "), std::string::npos) << remote.output;
}

TEST_F(LookupProgram, RefusesTheIdsOfItsOwnUsers) {
  start();
  serve();
  const Run own = resolve("nobody@foo.org");
  EXPECT_EQ(own.status, EX_TEMPFAIL);
  EXPECT_TRUE(own.output.starts_with("451 4.3.5 ")) << own.output;
}

TEST_F(LookupProgram, IsReadyWithoutItsDatabase) {
  for (const char* name : {"virtual", "mailboxes", "uids", "gids"}) {
    write(std::string(name) + ".cf",
          "hosts = 127.0.0.1:1\ndbname = x\nuser = x\nquery = SELECT '%s'\n");
  }
  start("", "pgsql");
  serve();
  const Run away = resolve("foo@foo.org");
  EXPECT_EQ(away.status, EX_TEMPFAIL);
  EXPECT_TRUE(away.output.starts_with("451 4.3.0 ")) << away.output;
}

TEST_F(LookupProgram, RefusesTablesThatItCannotUnderstand) {
  write("uids.cf", fmt::format("dbpath = {}/mail.db\nquery = SELECT '%q'\n", folder_));
  start();
  EXPECT_EQ(exit_status(), EX_CONFIG);
}

TEST_F(LookupProgram, LmtpctlTellsWhatIsWrong) {
  const Run away = lmtpctl("-s " + folder_ + "/nothing resolve a@b.org");
  EXPECT_EQ(away.status, EX_UNAVAILABLE);
  EXPECT_NE(away.output.find(folder_ + "/nothing"), std::string::npos);
  EXPECT_EQ(lmtpctl("-c " + folder_ + "/no.cf resolve a@b.org").status, EX_CONFIG);
  for (const char* wrong :
       {"", "resolve", "resolve ''", "resolve a b", "unknown", "-x y resolve a", "-s"}) {
    EXPECT_EQ(lmtpctl(wrong).status, EX_USAGE) << wrong;
  }
}

// A lookup process that somebody else has taken over.
TEST_F(LookupProgram, LmtpctlPrintsNothingThatATerminalObeys) {
  for (const std::string answer : {"ok\n\x1B]0;owned\x07 a\rb \xC2\x9B"
                                   "2J\n.\n",
                                   "error 1 \x1B[2J\n\x1B[2J\n.\n", "\x1B[2J \x1B[2J\n.\n"}) {
    const UniqueFd listener(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    socket_path().copy(address.sun_path, sizeof address.sun_path - 1);
    ::unlink(address.sun_path);
    ASSERT_EQ(::bind(listener.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    ASSERT_EQ(::listen(listener.get(), 1), 0);
    std::thread lookup([&] {
      const UniqueFd client(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
      EXPECT_GT(::send(client.get(), answer.data(), answer.size(), MSG_NOSIGNAL), 0);
      char end = 0;
      while (::recv(client.get(), &end, 1, 0) > 0) continue;
    });
    const Run run = lmtpctl("-s " + socket_path() + " status");
    lookup.join();
    EXPECT_FALSE(run.output.empty());
    EXPECT_EQ(run.output.find_first_of("\x1B\x07\r\x9B"), std::string::npos) << run.output;
  }
}

}  // namespace
}  // namespace lmtpd::lookup
