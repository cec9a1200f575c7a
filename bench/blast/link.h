// bench/blast/link.h -- one connection slot of a run: a socket, the dialogue on it, the message
// that it carries. Reconnects when a connection has had its share of messages.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "bench/blast/dialogue.h"
#include "bench/blast/outbox.h"
#include "bench/blast/source.h"
#include "lmtpd/base/unique_fd.h"

namespace lmtpd::blast {

class Link final : private Dialogue::Listener {
 public:
  // `epoll` outlives the link; events come back with `index` as data.u32.
  Link(std::uint32_t index, int epoll, const Options& options, Source& source);
  Link(const Link&) = delete;
  Link& operator=(const Link&) = delete;

  // Takes a message if the slot is free and one is due, and connects if it must.
  [[nodiscard]] Expected<void> work(Time now);
  // The socket is ready.
  [[nodiscard]] Expected<void> on_event(std::uint32_t events, Time now);
  // Fails if a reply is overdue.
  [[nodiscard]] Expected<void> check_deadline(Time now) const;

  [[nodiscard]] bool finished() const { return exhausted_ && !fd_ && !job_; }
  // Waits for time to pass, not for the socket: for a due message, or for room in a backlog.
  [[nodiscard]] bool wants_tick() const { return !finished() && (!fd_ || (!job_ && idle())); }
  [[nodiscard]] bool pipelining() const { return pipelined_; }

 private:
  void on_ready() override;
  void on_data_queued() override;
  void on_stored(const std::string& recipient) override;
  void on_tempfail(const std::string& recipient) override;
  void on_message_end() override;

  [[nodiscard]] bool idle() const { return !connecting_ && dialogue_.idle(); }
  void take_job();
  [[nodiscard]] Expected<void> open();
  [[nodiscard]] Expected<void> read();
  [[nodiscard]] Expected<void> write();
  void watch(std::uint32_t events);
  void close();
  [[nodiscard]] Expected<void> name_failure(std::string text) const;

  const std::uint32_t index_;
  const int epoll_;
  const Options& options_;
  Source& source_;
  Outbox outbox_;
  Dialogue dialogue_;
  UniqueFd fd_;
  std::uint32_t watched_ = 0;
  bool connecting_ = false;
  bool exhausted_ = false;  // the source has no more
  bool started_ = false;    // the job's MAIL is sent
  bool pipelined_ = false;
  std::unique_ptr<Source::Job> job_;
  std::uint64_t used_ = 0;  // messages on this connection
  Time now_;
  Time last_progress_;
  Time data_queued_;
};

}  // namespace lmtpd::blast
