#include "lookup/cache_evictor.h"

#include <algorithm>
#include <string>
#include <utility>

#include "lmtpd/base/utf8.h"
#include "lookup/fold.h"

namespace lmtpd::lookup {
namespace {

// In kDomainInterval; beyond, everything goes, which is had for the price of one.
constexpr std::ptrdiff_t kMostDomains = 8;
constexpr std::chrono::seconds kDomainInterval{1};

std::vector<std::string_view> lines_of(std::string_view text) {
  std::vector<std::string_view> lines;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    lines.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return lines;
}

bool is_key(std::string_view item) {
  const bool has_control = std::any_of(item.begin(), item.end(), [](char c) {
    return static_cast<unsigned char>(c) < 0x20 || c == 0x7F;
  });
  return !item.empty() && item != "*" && !has_control && valid_utf8(item);
}

bool is_domain(std::string_view item) { return item.find('@') == std::string_view::npos; }

}  // namespace

CacheEvictor::CacheEvictor(event_base* base, AnswerCache& cache)
    : base_(base), cache_(cache), flush_(event_new(base, -1, 0, on_flush, this)) {}

void CacheEvictor::on_flush(evutil_socket_t, short, void* self) noexcept {
  static_cast<CacheEvictor*>(self)->forget_all();
}

void CacheEvictor::listen(std::vector<PgsqlHost> hosts, std::chrono::milliseconds timeout,
                          PgsqlServer& prover) {
  NoticeListener::Owner& owner = *this;
  listeners_.push_back(
      std::make_unique<NoticeListener>(base_, std::move(hosts), timeout, prover, owner));
}

void CacheEvictor::forget_key(std::string_view key) {
  const std::string folded = fold(key);
  recent_.add(folded, Clock::now());
  for (CachedTable* table : tables_) table->forget(folded);
}

void CacheEvictor::forget_domain(std::string_view domain) {
  const std::string folded = fold(domain);
  recent_.add_all(Clock::now());
  cache_.erase_domain(folded);
  for (CachedTable* table : tables_) table->outdate_domain(folded);
}

void CacheEvictor::forget_all() {
  ++statistics_.flushes;
  event_del(flush_.get());
  flushed_at_ = Clock::now();
  recent_.add_all(Clock::now());
  cache_.erase_all();
  for (CachedTable* table : tables_) table->outdate_all();
}

void CacheEvictor::flush_soon() {
  const auto since = Clock::now() - flushed_at_;
  if (since >= kFlushInterval) return forget_all();
  const timeval wait = to_timeval(kFlushInterval - since);
  event_add(flush_.get(), &wait);
}

bool CacheEvictor::has_flush_due() const { return evtimer_pending(flush_.get(), nullptr) != 0; }

bool CacheEvictor::is_listening() const {
  return !listeners_.empty() && std::all_of(listeners_.begin(), listeners_.end(),
                                            [](auto& listener) { return listener->is_whole(); });
}

void CacheEvictor::on_notice(std::string_view payload) {
  ++statistics_.notices;
  if (has_flush_due()) return;
  const std::vector<std::string_view> items = lines_of(payload);
  if (const auto now = Clock::now(); now - kDomainInterval > lately_.since) lately_ = {now, 0};
  lately_.domains += std::count_if(items.begin(), items.end(), is_domain);
  if (!std::all_of(items.begin(), items.end(), is_key) || lately_.domains > kMostDomains) {
    return flush_soon();
  }
  for (const std::string_view item : items) {
    is_domain(item) ? forget_domain(item) : forget_key(item);
  }
}

void CacheEvictor::on_feed(bool) {
  // Which rows have changed meanwhile nobody knows, nor whether a replica has them.
  recent_.add_all(Clock::now());
  cache_.doubt_all();
  for (CachedTable* table : tables_) table->outdate_all();
}

}  // namespace lmtpd::lookup
