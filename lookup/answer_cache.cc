#include "lookup/answer_cache.h"

#include <sodium.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

namespace lmtpd::lookup {
namespace {

constexpr std::size_t kFirstIndexSize = 1024;
constexpr std::uint64_t kNegativeShare = 4;  // a quarter
// What malloc(3) adds to a block, and an entry's share of an index that is between a quarter and a
// half full.
constexpr std::uint64_t kOverheadOctets = 16 + 4 * sizeof(std::uint32_t);

struct Block {
  std::unique_ptr<char[]> octets;
  std::uint32_t size;
};

Block make_block(std::string_view key, const std::vector<std::string>& values) {
  std::size_t size = key.size();
  for (const std::string& value : values) size += sizeof(std::uint32_t) + value.size();
  Block block{std::make_unique_for_overwrite<char[]>(size), static_cast<std::uint32_t>(size)};
  char* out = std::copy(key.begin(), key.end(), block.octets.get());
  for (const std::string& value : values) {
    const auto length = static_cast<std::uint32_t>(value.size());
    std::memcpy(out, &length, sizeof length);
    out = std::copy(value.begin(), value.end(), out + sizeof length);
  }
  return block;
}

std::vector<std::string> read_values(const char* in, std::uint32_t count) {
  std::vector<std::string> values;
  values.reserve(count);
  for (std::uint32_t i = 0; i < count; ++i) {
    std::uint32_t length = 0;
    std::memcpy(&length, in, sizeof length);
    in += sizeof length;
    values.emplace_back(in, length);
    in += length;
  }
  return values;
}

// A 32-bit length must do, and one answer must not drive all others out.
constexpr std::size_t kLargestBlock = 1024 * 1024;

bool fits(std::string_view key, const Found& found) {
  std::size_t size = key.size();
  for (const std::string& value : found.values) size += sizeof(std::uint32_t) + value.size();
  return size <= kLargestBlock;
}

}  // namespace

bool is_of_domain(std::string_view key, std::string_view domain) {
  if (!key.ends_with(domain)) return false;
  return key.size() == domain.size() || key[key.size() - domain.size() - 1] == '@';
}

AnswerCache::AnswerCache(const Limits& limits, Now now)
    : limits_(limits), now_(std::move(now)), index_(kFirstIndexSize, 0) {
  static_assert(sizeof(seed_) == crypto_shorthash_KEYBYTES);
  limits_.entries = std::min<std::uint64_t>(limits_.entries, kNowhere / 4);
  static_assert(sizeof(Entry) == 48);
  // At once, since moving a million of them would hold up the loop. Memory is taken only as they
  // fill.
  entries_.reserve(std::min(limits_.entries, limits_.octets / (sizeof(Entry) + kOverheadOctets)));
  if (sodium_init() < 0) std::abort();  // no randomness: no seed
  randombytes_buf(seed_.data(), seed_.size());
}

std::uint64_t AnswerCache::cost(const Entry& entry) {
  return sizeof(Entry) + entry.block_size + kOverheadOctets;
}

std::uint32_t AnswerCache::hash(std::uint32_t table, std::string_view key) const {
  std::uint64_t value = 0;
  static_assert(sizeof value == crypto_shorthash_BYTES);
  crypto_shorthash(reinterpret_cast<unsigned char*>(&value),
                   reinterpret_cast<const unsigned char*>(key.data()), key.size(), seed_.data());
  value += table * UINT64_C(0x9E3779B97F4A7C15);  // no client chooses the table
  return static_cast<std::uint32_t>(value ^ (value >> 32));
}

std::size_t AnswerCache::find_slot(std::uint32_t hash, std::uint32_t table,
                                   std::string_view key) const {
  const std::size_t mask = index_.size() - 1;
  std::size_t slot = hash & mask;
  while (index_[slot] != 0) {
    const Entry& entry = entries_[index_[slot] - 1];
    if (entry.hash == hash) {
      // A hit is going to need its neighbours, too: their memory latencies and the key's overlap
      // (a quarter of a hit's time with a million entries).
      if (entry.older != kNowhere) __builtin_prefetch(&entries_[entry.older], 1);
      if (entry.newer != kNowhere) __builtin_prefetch(&entries_[entry.newer], 1);
      if (entry.table == table && entry.key() == key) break;
    }
    slot = (slot + 1) & mask;
  }
  return slot;
}

bool AnswerCache::is_fresh(const Entry& entry, Clock::time_point now) const {
  // One that was given less than its ttl seems older than it is, and is asked for again.
  return now < entry.expiry && entry.expiry - ttl_of(entry) >= valid_from_;
}

bool AnswerCache::is_ending(const Entry& entry, Clock::time_point now) const {
  const auto span = std::min<std::chrono::nanoseconds>(ttl_of(entry) * 2 / 3, kEnding);
  return entry.is_short_lived == 0 && now >= entry.expiry - span;
}

std::optional<Answer> AnswerCache::find(std::uint32_t table, std::string_view key,
                                        bool* is_ending) {
  const Place place = index_[find_slot(hash(table, key), table, key)];
  const Clock::time_point now = now_();
  if (place == 0 || !is_fresh(entries_[place - 1], now)) {
    ++statistics_.misses;
    return std::nullopt;
  }
  ++statistics_.hits;
  unlink(place - 1);
  link_newest(place - 1);
  const Entry& entry = entries_[place - 1];
  if (is_ending != nullptr) *is_ending = this->is_ending(entry, now);
  if (entry.values == 0) return Absent{};
  return Found{read_values(entry.block.get() + entry.key_size, entry.values)};
}

bool AnswerCache::has_fresh(std::uint32_t table, std::string_view key) const {
  const Place place = index_[find_slot(hash(table, key), table, key)];
  return place != 0 && is_fresh(entries_[place - 1], now_());
}

const AnswerCache::Entry* AnswerCache::stale_entry(std::uint32_t table,
                                                   std::string_view key) const {
  const Place place = index_[find_slot(hash(table, key), table, key)];
  if (place == 0) return nullptr;
  const Entry& entry = entries_[place - 1];
  return now_() < entry.expiry + limits_.stale_ttl ? &entry : nullptr;
}

bool AnswerCache::has_stale(std::uint32_t table, std::string_view key) const {
  return limits_.stale_ttl.count() > 0 && stale_entry(table, key) != nullptr;
}

std::optional<Answer> AnswerCache::find_stale(std::uint32_t table, std::string_view key) {
  if (!has_stale(table, key)) return std::nullopt;
  const Entry* entry = stale_entry(table, key);
  ++statistics_.stale_hits;
  if (entry->values == 0) return Absent{.was = true};
  return Found{read_values(entry->block.get() + entry->key_size, entry->values)};
}

std::optional<AnswerCache::Place> AnswerCache::in_the_way_of(const Entry& entry) {
  const std::uint64_t octets = cost(entry);
  const bool is_full = size() >= limits_.entries || this->octets() + octets > limits_.octets;
  if (entry.values == 0) {
    const bool share_is_full =
        negative_.size >= std::max<std::uint64_t>(limits_.entries / kNegativeShare, 1) ||
        negative_.octets + octets > limits_.octets / kNegativeShare;
    if (share_is_full && negative_.size > 0) return negative_.oldest;
    return is_full ? std::optional(positive_.size > 0 ? positive_.oldest : negative_.oldest)
                   : std::nullopt;
  }
  if (!is_full) return std::nullopt;
  const bool negative_is_of_no_use =
      negative_.size > 0 && (positive_.size == 0 || !is_fresh(entries_[negative_.oldest], now_()));
  return negative_is_of_no_use ? negative_.oldest : positive_.oldest;
}

void AnswerCache::insert(std::uint32_t table, std::string_view key, const Answer& answer,
                         std::chrono::nanoseconds longest_life) {
  if (std::holds_alternative<Unavailable>(answer)) return;
  erase(table, key);
  const Found* found = std::get_if<Found>(&answer);
  if (limits_.entries == 0 || !fits(key, found != nullptr ? *found : Found{})) return;

  Entry entry;
  Block block = make_block(key, found != nullptr ? found->values : std::vector<std::string>());
  entry.block = std::move(block.octets);
  entry.block_size = block.size;
  entry.key_size = static_cast<std::uint32_t>(key.size());
  entry.values =
      found != nullptr ? static_cast<std::uint32_t>(found->values.size()) & 0x7FFFFFFF : 0;
  entry.is_short_lived = longest_life < ttl_of(entry) ? 1 : 0;
  entry.expiry = now_() + std::min(ttl_of(entry), longest_life);
  entry.table = table;
  entry.hash = hash(table, key);
  if (cost(entry) > limits_.octets) return;
  while (const std::optional<Place> victim = in_the_way_of(entry)) {
    remove(*victim);
    ++statistics_.driven_out;
  }

  if (2 * (size() + 1) > index_.size()) grow_index();
  Place place = free_;
  if (place == kNowhere) {
    place = static_cast<Place>(entries_.size());
    entries_.push_back(std::move(entry));
  } else {
    free_ = entries_[place].newer;
    entries_[place] = std::move(entry);
  }
  index_[find_slot(entries_[place].hash, table, key)] = place + 1;
  List& list = list_of(entries_[place]);
  list.octets += cost(entries_[place]);
  ++list.size;
  link_newest(place);
}

void AnswerCache::erase(std::uint32_t table, std::string_view key) {
  const Place place = index_[find_slot(hash(table, key), table, key)];
  if (place != 0) remove(place - 1);
}

void AnswerCache::erase_domain(std::string_view domain) {
  if (size() == 0) return;
  for (Place place = 0; place < entries_.size(); ++place) {
    const Entry& entry = entries_[place];
    if (entry.block && is_of_domain(entry.key(), domain)) remove(place);
  }
}

void AnswerCache::erase_all() {
  if (size() == 0) return;
  entries_.clear();
  std::fill(index_.begin(), index_.end(), 0);
  positive_ = {};
  negative_ = {};
  free_ = kNowhere;
}

void AnswerCache::expire_all() { valid_from_ = now_(); }

void AnswerCache::remove(Place place) {
  Entry& entry = entries_[place];
  remove_slot(find_slot(entry.hash, entry.table, entry.key()));
  unlink(place);
  List& list = list_of(entry);
  list.octets -= cost(entry);
  --list.size;
  entry.block.reset();
  entry.newer = free_;
  free_ = place;
}

// Without tombstones: what was pushed behind the freed slot moves up (Knuth 6.4, algorithm R).
void AnswerCache::remove_slot(std::size_t slot) {
  const std::size_t mask = index_.size() - 1;
  std::size_t hole = slot;
  for (std::size_t next = (hole + 1) & mask; index_[next] != 0; next = (next + 1) & mask) {
    const std::size_t home = entries_[index_[next] - 1].hash & mask;
    if (((next - home) & mask) < ((next - hole) & mask)) continue;  // home lies behind the hole
    index_[hole] = index_[next];
    hole = next;
  }
  index_[hole] = 0;
}

void AnswerCache::grow_index() {
  std::vector<Place> larger(index_.size() * 2, 0);
  const std::size_t mask = larger.size() - 1;
  for (const Place place : index_) {
    if (place == 0) continue;
    std::size_t slot = entries_[place - 1].hash & mask;
    while (larger[slot] != 0) slot = (slot + 1) & mask;
    larger[slot] = place;
  }
  index_ = std::move(larger);
}

void AnswerCache::unlink(Place place) {
  const Entry& entry = entries_[place];
  List& list = list_of(entry);
  (entry.newer == kNowhere ? list.newest : entries_[entry.newer].older) = entry.older;
  (entry.older == kNowhere ? list.oldest : entries_[entry.older].newer) = entry.newer;
}

void AnswerCache::link_newest(Place place) {
  Entry& entry = entries_[place];
  List& list = list_of(entry);
  entry.newer = kNowhere;
  entry.older = list.newest;
  (list.newest == kNowhere ? list.oldest : entries_[list.newest].newer) = place;
  list.newest = place;
}

}  // namespace lmtpd::lookup
