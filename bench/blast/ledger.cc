#include "bench/blast/ledger.h"

#include <fcntl.h>
#include <fmt/format.h>

#include <cerrno>
#include <cstring>

namespace lmtpd::blast {

Expected<Ledger> Ledger::open(const std::string& path) {
  Ledger ledger;
  ledger.path_ = path;
  ledger.fd_.reset(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
  if (!ledger.fd_) return complain(fmt::format("{}: {}", path, std::strerror(errno)));
  return ledger;
}

void Ledger::add(std::string_view what, std::string_view detail) {
  if (!fd_) return;
  lines_.append(what).append("\t").append(detail).append("\n");
}

Expected<void> Ledger::flush() {
  std::string_view rest = lines_;
  while (!rest.empty()) {
    const ssize_t n = ::write(fd_.get(), rest.data(), rest.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return complain(fmt::format("{}: {}", path_, std::strerror(errno)));
    rest.remove_prefix(static_cast<std::size_t>(n));
  }
  lines_.clear();
  return {};
}

}  // namespace lmtpd::blast
