// tests/lookup/private_postgres.h -- a PostgreSQL cluster of a test program's own.
//
// Made in a temporary directory at first use, listening on 127.0.0.1 and on a unix socket, and gone
// with the program, however that ends. Run by root it is postgres' (initdb refuses root). The
// superuser `postgres` needs no password on the socket; everybody else does.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

namespace lmtpd::testing_support {

class PrivatePostgres {
 public:
  // Running. Aborts the program with a message where PostgreSQL cannot be run.
  static PrivatePostgres& instance();

  [[nodiscard]] int port() const { return port_; }
  [[nodiscard]] const std::string& socket_folder() const { return folder_; }

  void start();  // returns when it takes connections
  void stop();   // as a crash: no goodbye to its clients
  // All its processes stop where they are (SIGSTOP), and go on.
  void pause();
  void resume();

  // Runs SQL as superuser; the first column of the last statement's rows. A failure fails the test.
  std::vector<std::string> sql(const std::string& database, const std::string& text);
  // An empty database of that name, UTF8, in place of an older one.
  void make_database(const std::string& name);

  PrivatePostgres(const PrivatePostgres&) = delete;
  PrivatePostgres& operator=(const PrivatePostgres&) = delete;

 private:
  PrivatePostgres();
  ~PrivatePostgres();
  [[nodiscard]] pid_t spawn(const std::vector<std::string>& command) const;
  void run(const std::vector<std::string>& command) const;
  void signal_all(int signal) const;

  std::string folder_;
  std::string programs_;
  uid_t uid_;
  gid_t gid_;
  int port_ = 0;
  pid_t server_ = -1;
};

}  // namespace lmtpd::testing_support
