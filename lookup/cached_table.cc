#include "lookup/cached_table.h"

#include <utility>

namespace lmtpd::lookup {

CachedTable::CachedTable(std::unique_ptr<Table> table, AnswerCache& cache, std::uint32_t number)
    : table_(std::move(table)), cache_(cache), number_(number) {}

std::optional<Answer> CachedTable::lookup(std::string_view key, Asker& asker, std::uint64_t id) {
  if (std::optional<Answer> hit = cache_.find(number_, key)) return hit;
  if (const auto flying = flight_of_.find(key); flying != flight_of_.end()) {
    flights_.at(flying->second).waiters.push_back({&asker, id});
    return std::nullopt;
  }
  const std::uint64_t flight = next_flight_++;
  if (std::optional<Answer> answer = table_->lookup(key, *this, flight)) {
    cache_.insert(number_, key, *answer);
    return answer;
  }
  const auto entry =
      flights_.emplace(flight, Flight{std::string(key), {Waiter{&asker, id}}, false}).first;
  flight_of_.emplace(entry->second.key, flight);
  return std::nullopt;
}

void CachedTable::forget(std::string_view key) {
  cache_.erase(number_, key);
  if (const auto flying = flight_of_.find(key); flying != flight_of_.end()) {
    // Who asks from now on needs a query of his own.
    flights_.at(flying->second).outdated = true;
    flight_of_.erase(flying);
  }
}

void CachedTable::on_answer(std::uint64_t id, const Answer& answer) {
  // Gone before the waiters are told: they may ask again.
  const auto entry = flights_.extract(id);
  const Flight& flight = entry.mapped();
  if (!flight.outdated) {
    flight_of_.erase(flight.key);
    cache_.insert(number_, flight.key, answer);
  }
  for (const Waiter& waiter : flight.waiters) waiter.asker->on_answer(waiter.id, answer);
}

}  // namespace lmtpd::lookup
