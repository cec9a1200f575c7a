// lookup/name_lookup.h -- getaddrinfo(3) in a thread, its outcome told from the event loop.
//
// The thread owns all it touches and ends when the resolver answers; it does not hold up whoever
// forgets about it.
#pragma once

#include <string>
#include <vector>

#include "lmtpd/base/result.h"
#include "lmtpd/base/unique_fd.h"
#include "lmtpd/event/event_ptr.h"

namespace lmtpd::lookup {

class NameLookup {
 public:
  class Owner {
   public:
    // Numeric addresses in the resolver's order, one at least; or why there is none. May destroy
    // the NameLookup. Called once.
    virtual void on_addresses(Result<std::vector<std::string>> addresses) = 0;

   protected:
    ~Owner() = default;
  };

  // Starts. Without a thread or descriptor to be had on_addresses() says so, from the loop as well.
  NameLookup(event_base* base, std::string host, Owner& owner);

 private:
  static void on_readable(evutil_socket_t, short, void* self) noexcept;
  void read();

  std::string host_;
  Owner& owner_;
  UniqueFd answer_;
  std::string text_;  // what has been read: addresses one a line, or "!" and words
  EventPtr event_;
};

}  // namespace lmtpd::lookup
