#include "tests/lookup/private_postgres.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <grp.h>
#include <gtest/gtest.h>
#include <libpq-fe.h>
#include <pwd.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <random>
#include <thread>

namespace lmtpd::testing_support {
namespace {

[[noreturn]] void give_up(const std::string& what) {
  std::fprintf(stderr, "private PostgreSQL: %s\n", what.c_str());
  std::abort();
}

// The newest /usr/lib/postgresql/N/bin.
std::string find_programs() {
  int newest = 0;
  std::error_code none;
  for (const auto& entry : std::filesystem::directory_iterator("/usr/lib/postgresql", none)) {
    const int version = static_cast<int>(std::strtol(entry.path().filename().c_str(), nullptr, 10));
    if (std::filesystem::exists(entry.path() / "bin" / "initdb"))
      newest = std::max(newest, version);
  }
  if (newest == 0) give_up("no initdb below /usr/lib/postgresql (Debian package postgresql)");
  return fmt::format("/usr/lib/postgresql/{}/bin", newest);
}

// Below those that the kernel gives to clients (ip_local_port_range): the server ends and binds it
// again.
int free_port() {
  std::random_device chance;
  std::uniform_int_distribution<std::uint16_t> ports(10'000, 32'000);
  for (int tries = 0; tries < 1000; ++tries) {
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(ports(chance));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const int bound = bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address);
    close(fd);
    if (bound == 0) return ntohs(address.sin_port);
  }
  give_up("no free port");
}

std::vector<pid_t> children_of(pid_t pid) {
  std::ifstream file(fmt::format("/proc/{0}/task/{0}/children", pid));
  std::vector<pid_t> children;
  for (pid_t child = 0; file >> child;) children.push_back(child);
  return children;
}

}  // namespace

PrivatePostgres& PrivatePostgres::instance() {
  static PrivatePostgres postgres;
  return postgres;
}

PrivatePostgres::PrivatePostgres() : programs_(find_programs()), uid_(getuid()), gid_(getgid()) {
  if (uid_ == 0) {
    const passwd* user = getpwnam("postgres");
    if (user == nullptr) give_up("no user postgres");
    uid_ = user->pw_uid;
    gid_ = user->pw_gid;
  }
  folder_ = "/tmp/lmtpd-postgres-XXXXXX";
  if (mkdtemp(folder_.data()) == nullptr || chown(folder_.c_str(), uid_, gid_) != 0 ||
      chmod(folder_.c_str(), 0755) != 0) {
    give_up("no temporary directory");
  }
  const std::string data = folder_ + "/data";
  run({programs_ + "/initdb", "--no-sync", "--no-instructions", "--username=postgres",
       "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--pgdata=" + data});
  std::ofstream(data + "/pg_hba.conf") << "local all postgres trust\n"
                                          "local all all scram-sha-256\n"
                                          "host all all 127.0.0.1/32 scram-sha-256\n";
  port_ = free_port();
  start();
}

PrivatePostgres::~PrivatePostgres() {
  stop();
  std::error_code none;
  std::filesystem::remove_all(folder_, none);
}

// As the cluster's user; ends when this program does.
pid_t PrivatePostgres::spawn(const std::vector<std::string>& command) const {
  std::vector<char*> arguments;
  for (const std::string& argument : command) {
    arguments.push_back(const_cast<char*>(argument.c_str()));
  }
  arguments.push_back(nullptr);
  const std::string log = folder_ + "/log";
  const pid_t parent = getpid();
  const pid_t child = fork();
  if (child != 0) return child;
  if (getuid() == 0 && (setgroups(0, nullptr) != 0 || setgid(gid_) != 0 || setuid(uid_) != 0)) {
    _exit(126);
  }
  prctl(PR_SET_PDEATHSIG, SIGQUIT);
  if (getppid() != parent) _exit(126);
  const int out = open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0644);
  dup2(out, STDOUT_FILENO);
  dup2(out, STDERR_FILENO);
  close_range(3, ~0U, 0);
  if (chdir(folder_.c_str()) == 0) execv(arguments[0], arguments.data());
  _exit(127);
}

void PrivatePostgres::run(const std::vector<std::string>& command) const {
  int status = 0;
  const pid_t child = spawn(command);
  if (child < 0 || waitpid(child, &status, 0) != child || status != 0) {
    std::ifstream log(folder_ + "/log");
    give_up(fmt::format("{} failed: {}", command[0],
                        std::string(std::istreambuf_iterator<char>(log), {})));
  }
}

void PrivatePostgres::start() {
  if (server_ > 0) return;
  server_ =
      spawn({programs_ + "/postgres", "-D", folder_ + "/data", "-k", folder_, "-p",
             std::to_string(port_), "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off", "-c",
             "autovacuum=off", "-c", "max_connections=50", "-c", "shared_buffers=16MB"});
  const std::string where = fmt::format("host={} port={} dbname=postgres", folder_, port_);
  for (int tries = 0; PQping(where.c_str()) != PQPING_OK; ++tries) {
    if (tries == 3000 || waitpid(server_, nullptr, WNOHANG) == server_) {
      std::ifstream log(folder_ + "/log");
      give_up("does not start: " + std::string(std::istreambuf_iterator<char>(log), {}));
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
}

void PrivatePostgres::stop() {
  if (server_ <= 0) return;
  kill(server_, SIGQUIT);
  waitpid(server_, nullptr, 0);
  server_ = -1;
}

void PrivatePostgres::signal_all(int signal) const {
  if (server_ <= 0) return;
  kill(server_, signal);
  for (const pid_t child : children_of(server_)) kill(child, signal);
}
void PrivatePostgres::pause() { signal_all(SIGSTOP); }
void PrivatePostgres::resume() { signal_all(SIGCONT); }

std::vector<std::string> PrivatePostgres::sql(const std::string& database,
                                              const std::string& text) {
  const auto where =
      fmt::format("host={} port={} user=postgres dbname={}", folder_, port_, database);
  const std::unique_ptr<PGconn, decltype(&PQfinish)> connection(PQconnectdb(where.c_str()),
                                                                PQfinish);
  PQsetNoticeProcessor(connection.get(), [](void*, const char*) {}, nullptr);
  const std::unique_ptr<PGresult, decltype(&PQclear)> result(PQexec(connection.get(), text.c_str()),
                                                             PQclear);
  const ExecStatusType status = PQresultStatus(result.get());
  if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK) {
    ADD_FAILURE() << text << ": " << PQerrorMessage(connection.get());
  }
  std::vector<std::string> rows;
  for (int row = 0; row < PQntuples(result.get()); ++row) {
    rows.emplace_back(PQgetvalue(result.get(), row, 0));
  }
  return rows;
}

void PrivatePostgres::make_database(const std::string& name) {
  sql("postgres", fmt::format("DROP DATABASE IF EXISTS {} WITH (FORCE)", name));
  sql("postgres", fmt::format("CREATE DATABASE {}", name));
}

}  // namespace lmtpd::testing_support
