// lmtpd/master/service_notifier.h -- what the service manager is told (sd_notify(3)).
#pragma once

#include <string>
#include <string_view>

namespace lmtpd::master {

class ServiceNotifier {
 public:
  // The value of NOTIFY_SOCKET: a path, `@` and the name of an abstract socket, or empty: nobody
  // listens.
  explicit ServiceNotifier(std::string socket) : socket_(std::move(socket)) {}

  // Takes NOTIFY_SOCKET out of the environment.
  [[nodiscard]] static ServiceNotifier from_environment();

  void ready(std::string_view status) const;
  void reloading() const;
  void stopping() const;

 private:
  // A failure is logged; a service manager that does not listen stops nobody.
  void send(const std::string& state) const;

  std::string socket_;
};

}  // namespace lmtpd::master
