// lmtpd/ctl/control_client.h -- lmtpctl's end of the control socket
// (lmtpd/base/control_protocol.h).
#pragma once

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include "lmtpd/base/result.h"
#include "lmtpd/base/unique_fd.h"

namespace lmtpd::ctl {

struct Answer {
  std::string status;              // the first line's word
  std::string text;                // what stands behind it
  std::vector<std::string> lines;  // the others
};

// Blocking. Fails with a text that names the socket; the error's reason has no meaning.
class ControlClient {
 public:
  [[nodiscard]] static Result<ControlClient> connect(const std::string& path);

  // `request` has no line end. An answer that takes longer than kPatience is a failure.
  [[nodiscard]] Result<Answer> ask(const std::string& request);

  // To the process that listens: master, which made the socket and hands it to lookup.
  [[nodiscard]] Result<void> signal_master(int number) const;

  static constexpr std::chrono::seconds kPatience{120};

 private:
  ControlClient(UniqueFd socket, std::string path)
      : socket_(std::move(socket)), path_(std::move(path)) {}
  [[nodiscard]] Result<std::string> read_line();
  [[nodiscard]] tl::unexpected<Error> failed(std::string_view what) const;

  UniqueFd socket_;
  std::string path_;
  std::string received_;
};

}  // namespace lmtpd::ctl
