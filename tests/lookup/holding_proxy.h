// tests/lookup/holding_proxy.h -- stands between a client and PostgreSQL, on 127.0.0.1, and can
// hold back the server's answers until the client has sent so many Sync messages.
#pragma once

#include <atomic>
#include <thread>

namespace lmtpd::testing_support {

class HoldingProxy {
 public:
  explicit HoldingProxy(int server_port);
  ~HoldingProxy();
  HoldingProxy(const HoldingProxy&) = delete;
  HoldingProxy& operator=(const HoldingProxy&) = delete;

  [[nodiscard]] int port() const { return port_; }

  // From now on nothing passes to the client before it has sent that many more.
  void hold_until_syncs(int count);
  // How often the client's octets were seen to arrive since then: at most the segments it sent.
  [[nodiscard]] int arrivals() const { return arrivals_; }

 private:
  void serve();
  void relay(int client, int server);

  int server_port_;
  int listener_ = -1;
  int port_ = 0;
  std::atomic<bool> ends_ = false;
  std::atomic<int> syncs_wanted_ = 0;
  std::atomic<int> arrivals_ = 0;
  std::thread thread_;
};

}  // namespace lmtpd::testing_support
