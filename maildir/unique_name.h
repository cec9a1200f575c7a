// maildir/unique_name.h -- the names of messages, never the same twice.
//
//   SECONDS.M<usec>P<pid>Q<seq>[R<random>].<host>,S=<octets on disk>,W=<octets with CRLF>
//
// As https://cr.yp.to/proto/maildir.html has it; S and W are Dovecot's, which with them neither
// stats nor reads the file to learn its sizes.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace lmtpd::maildir {

struct MessageSize {
  std::uint64_t on_disk = 0;  // octets of the file
  std::uint64_t wire = 0;     // octets with each line end as CRLF
};

class UniqueNames {
 public:
  // `/`, `:` and `,` in `host` become \057, \072 and \054.
  explicit UniqueNames(std::string_view host);

  // Differs from every other name of this host, whichever thread, process or object makes it.
  [[nodiscard]] std::string next(MessageSize size) const;

  // The same with 64 random bits, for when a name was taken after all: two machines or containers
  // that call themselves alike, or a clock that was set back.
  [[nodiscard]] std::string next_random(MessageSize size) const;

 private:
  [[nodiscard]] std::string make(MessageSize size, std::string_view random) const;

  std::string host_;
};

}  // namespace lmtpd::maildir
