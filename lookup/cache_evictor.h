// lookup/cache_evictor.h -- takes out of the cache what may not be so any more.
//
// At an administrator's word (lmtpctl flush) and at the database's: a notice is one or more items,
// a line each. `*` is everything. An item without an @ is a domain: its own key, and every address
// in it. Any other is a key. What cannot be read counts as `*`.
//
// Of many domains in a row, or of everything again and again, the notices are taken together: one
// flush each kFlushInterval, the last of them that much later at most.
//
// When the feed of notices begins or is lost, changes may have gone unnoticed: everything is asked
// for again at its next use, which does not wait for it within AnswerCache::kDoubt. After that,
// what was not asked for stands in only while the database is away.
#pragma once

#include <event2/event.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "lmtpd/event/event_ptr.h"
#include "lookup/answer_cache.h"
#include "lookup/cached_table.h"
#include "lookup/notice_listener.h"
#include "lookup/recent_changes.h"

namespace lmtpd::lookup {

class CacheEvictor final : private NoticeListener::Owner {
 public:
  static constexpr std::chrono::milliseconds kFlushInterval{100};

  struct Statistics {
    std::uint64_t notices = 0;
    std::uint64_t flushes = 0;  // of everything
  };

  CacheEvictor(event_base* base, AnswerCache& cache);

  // The table outlives the evictor.
  void add(CachedTable& table) { tables_.push_back(&table); }
  void listen(std::vector<PgsqlHost> hosts, std::chrono::milliseconds timeout, PgsqlServer& prover);

  // An address, or a table's key of another kind, in any case of letters.
  void forget_key(std::string_view key);
  void forget_domain(std::string_view domain);
  void forget_all();

  [[nodiscard]] RecentChanges& recent_changes() { return recent_; }
  [[nodiscard]] const Statistics& statistics() const { return statistics_; }
  // Whether there are feeds of notices and all of them are whole.
  [[nodiscard]] bool is_listening() const;

 private:
  // Of notices: a domain costs a look at every entry.
  struct DomainCount {
    Clock::time_point since = Clock::time_point::min();
    std::ptrdiff_t domains = 0;
  };

  static void on_flush(evutil_socket_t, short, void* self) noexcept;

  void on_notice(std::string_view payload) override;
  void on_feed(bool is_whole) override;

  // Everything, now or when the interval since the last time is over. What is answered until then
  // goes with it.
  void flush_soon();
  [[nodiscard]] bool has_flush_due() const;

  event_base* base_;
  AnswerCache& cache_;
  std::vector<CachedTable*> tables_;
  RecentChanges recent_;
  Statistics statistics_;
  DomainCount lately_;
  Clock::time_point flushed_at_ = Clock::now() - kFlushInterval;
  EventPtr flush_;
  std::vector<std::unique_ptr<NoticeListener>> listeners_;
};

}  // namespace lmtpd::lookup
