#include "lookup/cached_table.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "lmtpd/base/log.h"

namespace lmtpd::lookup {
namespace {

using std::chrono::steady_clock;

constexpr std::chrono::minutes kLogInterval{1};

}  // namespace

CachedTable::CachedTable(std::unique_ptr<Table> table, const Shared& shared, std::uint32_t number)
    : table_(std::move(table)), databases_(table_->databases()), shared_(shared), number_(number) {
  for (Availability* database : databases_) database->add(*this);
}

CachedTable::~CachedTable() {
  for (Availability* database : databases_) database->remove(*this);
}

std::optional<Answer> CachedTable::lookup(std::string_view key, Asker& asker, std::uint64_t id) {
  bool is_ending = false;
  if (std::optional<Answer> hit = shared_.cache.find(number_, key, &is_ending)) {
    if (is_ending) fly(key);
    return hit;
  }
  const bool old_will_do = old_answers_will_do();
  if (const std::optional<Answer> answer = fly(key)) return settled(key, *answer);
  if (old_will_do) {
    if (std::optional<Answer> old = stand_in(key)) return old;
  }
  flights_.at(flight_of_.at(key)).waiters.push_back({&asker, id});
  return std::nullopt;
}

std::optional<Answer> CachedTable::fly(std::string_view key) {
  if (flight_of_.contains(key)) return std::nullopt;
  const std::uint64_t flight = next_flight_++;
  std::optional<Answer> answer = table_->lookup(key, *this, flight);
  if (answer) {
    note(key, *answer, true);
    return answer;
  }
  const auto entry = flights_.emplace(flight, Flight{std::string(key)}).first;
  flight_of_.emplace(entry->second.key, flight);
  return std::nullopt;
}

Table::Origin CachedTable::origin(std::string_view key) const {
  if (shared_.cache.has_fresh(number_, key)) return Origin::cache;
  return shared_.cache.has_stale(number_, key) ? Origin::old_cache : Origin::database;
}

bool CachedTable::old_answers_will_do() const {
  return std::any_of(databases_.begin(), databases_.end(),
                     [](const Availability* one) { return one->old_answers_will_do(); });
}

void CachedTable::note(std::string_view key, const Answer& answer, bool keep) {
  if (const auto* unavailable = std::get_if<Unavailable>(&answer)) {
    if (unavailable->answered) return shared_.cache.erase(number_, key);
    ++failures_;
    return;
  }
  if (!keep) return;
  const auto life = shared_.changes.longest_life(key, Clock::now());
  shared_.cache.insert(number_, key, answer, life);
}

Answer CachedTable::settled(std::string_view key, const Answer& answer) {
  const auto* unavailable = std::get_if<Unavailable>(&answer);
  if (unavailable == nullptr || unavailable->answered) return answer;
  return stand_in(key).value_or(answer);
}

std::optional<Answer> CachedTable::stand_in(std::string_view key) {
  std::optional<Answer> old = shared_.cache.find_stale(number_, key);
  if (!old) return std::nullopt;
  ++stood_in_;
  if (const auto now = steady_clock::now(); now >= next_log_) {
    log_warning("{}: the database does not answer: {} answers past cache_ttl used in its place",
                name(), std::exchange(stood_in_, 0));
    next_log_ = now + kLogInterval;
  }
  return old;
}

void CachedTable::on_away() {
  std::vector<std::pair<std::vector<Waiter>, Answer>> served;
  for (auto& [id, flight] : flights_) {
    if (flight.waiters.empty()) continue;
    std::optional<Answer> old = stand_in(flight.key);
    if (old) served.emplace_back(std::exchange(flight.waiters, {}), *std::move(old));
  }
  // Last: they may ask again.
  for (const auto& [waiters, answer] : served) {
    for (const Waiter& waiter : waiters) waiter.asker->on_answer(waiter.id, answer);
  }
}

void CachedTable::forget(std::string_view key) {
  shared_.cache.erase(number_, key);
  if (const auto flying = flight_of_.find(key); flying != flight_of_.end()) {
    outdate(flights_.find(flying->second));
  }
}

void CachedTable::outdate_domain(std::string_view domain) {
  for (auto flight = flights_.begin(); flight != flights_.end(); ++flight) {
    if (is_of_domain(flight->second.key, domain)) outdate(flight);
  }
}

void CachedTable::outdate_all() {
  for (auto flight = flights_.begin(); flight != flights_.end(); ++flight) outdate(flight);
}

// Who asks from now on needs a query of his own.
void CachedTable::outdate(Flights::iterator flight) {
  if (std::exchange(flight->second.outdated, true)) return;
  flight_of_.erase(flight->second.key);
}

void CachedTable::on_answer(std::uint64_t id, const Answer& answer) {
  // Gone before the waiters are told: they may ask again.
  const auto entry = flights_.extract(id);
  const Flight& flight = entry.mapped();
  if (!flight.outdated) flight_of_.erase(flight.key);
  note(flight.key, answer, !flight.outdated);
  if (flight.waiters.empty()) return;
  const Answer handed = settled(flight.key, answer);
  for (const Waiter& waiter : flight.waiters) waiter.asker->on_answer(waiter.id, handed);
}

}  // namespace lmtpd::lookup
