// lookup/control_connection.h -- one lmtpctl that is connected (control_protocol.h).
#pragma once

#include <event2/bufferevent.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "lmtpd/base/counters.h"
#include "lmtpd/base/unique_fd.h"
#include "lookup/cache_control.h"
#include "lookup/explanation.h"

namespace lmtpd::lookup {

class ControlConnection final : private Explainer::Client {
 public:
  class Owner {
   public:
    // It ended. May destroy the connection.
    virtual void on_closed(ControlConnection& connection) = 0;

   protected:
    ~Owner() = default;
  };

  // What a command may use; outlives the connection.
  struct Service {
    Explainer& explainer;
    CacheControl& cache;
    const CounterReader& counters;  // of other processes
    std::string mail_base;          // virtual_mailbox_base
  };

  ControlConnection(event_base* base, UniqueFd socket, Service& service, Owner& owner);
  ~ControlConnection();
  ControlConnection(const ControlConnection&) = delete;
  ControlConnection& operator=(const ControlConnection&) = delete;

  // The commands; each answers, at once or later.
  void resolve(std::string_view address);
  void explain(std::string_view address);
  void flush(std::string_view what);  // an address, or a domain behind an @; empty: everything
  void show_status(std::string_view);

 private:
  struct BufferEventDeleter {
    void operator()(bufferevent* buffer) const { bufferevent_free(buffer); }
  };

  static void on_readable(bufferevent*, void* self) noexcept;
  static void on_event(bufferevent*, short what, void* self) noexcept;
  void read();
  void run(std::string_view line);
  void start(std::string_view address, bool with_steps);
  void on_outcome(std::uint64_t id, const Explanation& explanation) override;
  void refuse(const Error& error, std::string_view lines);
  void answer(std::string_view first, std::string_view lines);

  std::unique_ptr<bufferevent, BufferEventDeleter> buffer_;
  Service& service_;
  Owner& owner_;
  bool with_steps_ = false;  // of the request under way
  bool busy_ = false;        // a request is under way: the next one waits in the buffer
};

}  // namespace lmtpd::lookup
