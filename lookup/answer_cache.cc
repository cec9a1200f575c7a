#include "lookup/answer_cache.h"

#include <sodium.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <utility>

namespace lmtpd::lookup {
namespace {

constexpr std::size_t kFirstIndexSize = 1024;
constexpr std::uint64_t kAbsentShare = 4;  // a quarter, for each of the two lists
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

// 32 bits of milliseconds must do.
constexpr std::chrono::hours kLongestLife{24 * 40};

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

std::optional<AnswerCache::Place> AnswerCache::find_place(std::uint32_t table,
                                                          std::string_view key) const {
  const std::uint32_t slot = index_[find_slot(hash(table, key), table, key)];
  return slot == 0 ? std::nullopt : std::optional(place_in(slot));
}

std::size_t AnswerCache::find_slot(std::uint32_t hash, std::uint32_t table,
                                   std::string_view key) const {
  const std::uint32_t mask = slot_mask();
  std::size_t slot = hash & mask;
  while (index_[slot] != 0) {
    // Another key's entry is hardly ever looked at: it would be one more wait for memory.
    if (((index_[slot] ^ hash) & ~mask) == 0) {
      const Entry& entry = entries_[place_in(index_[slot])];
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

bool AnswerCache::is_doubted(const Entry& entry) const {
  return entry.expiry - entry.life < doubted_before_;
}

bool AnswerCache::is_fresh(const Entry& entry, Clock::time_point now) const {
  if (now >= entry.expiry) return false;
  return !is_doubted(entry) || (now < doubt_end_ && entry.expiry - entry.life >= dead_before_);
}

bool AnswerCache::is_ending(const Entry& entry, Clock::time_point now) const {
  const auto span =
      std::min<std::chrono::nanoseconds>(std::chrono::nanoseconds(entry.life) * 2 / 3, kEnding);
  return now >= entry.expiry - span || is_doubted(entry);
}

std::optional<Answer> AnswerCache::find(std::uint32_t table, std::string_view key,
                                        bool* is_ending) {
  const std::optional<Place> place = find_place(table, key);
  const Clock::time_point now = now_();
  if (!place || !is_fresh(entries_[*place], now)) {
    ++statistics_.misses;
    return std::nullopt;
  }
  ++statistics_.hits;
  use(*place);
  const Entry& entry = entries_[*place];
  if (is_ending != nullptr) *is_ending = this->is_ending(entry, now);
  if (entry.values == 0) return Absent{};
  return Found{read_values(entry.block.get() + entry.key_size, entry.values)};
}

bool AnswerCache::has_fresh(std::uint32_t table, std::string_view key) const {
  const std::optional<Place> place = find_place(table, key);
  return place && is_fresh(entries_[*place], now_());
}

bool AnswerCache::may_stand_in(const Entry& entry, Clock::time_point now) const {
  return limits_.stale_ttl.count() > 0 && now < entry.expiry + limits_.stale_ttl;
}

bool AnswerCache::has_stale(std::uint32_t table, std::string_view key) const {
  const std::optional<Place> place = find_place(table, key);
  return place && may_stand_in(entries_[*place], now_());
}

std::optional<Answer> AnswerCache::find_stale(std::uint32_t table, std::string_view key) {
  const std::optional<Place> place = find_place(table, key);
  if (!place || !may_stand_in(entries_[*place], now_())) return std::nullopt;
  ++statistics_.stale_hits;
  use(*place);
  const Entry& entry = entries_[*place];
  if (entry.values == 0) return Absent{.was = true};
  return Found{.values = read_values(entry.block.get() + entry.key_size, entry.values),
               .was = true};
}

std::optional<AnswerCache::Place> AnswerCache::in_the_way_of(const Entry& entry) {
  const std::uint64_t octets = cost(entry);
  if (const List& own = list_of(entry); &own != &found_ && own.size > 0) {
    const bool share_is_full =
        own.size >= std::max<std::uint64_t>(limits_.entries / kAbsentShare, 1) ||
        own.octets + octets > limits_.octets / kAbsentShare;
    if (share_is_full) return own.oldest;
  }
  if (size() < limits_.entries && this->octets() + octets <= limits_.octets) return std::nullopt;
  const Clock::time_point now = now_();
  if (tried_.size > 0 && !is_fresh(entries_[tried_.oldest], now)) return tried_.oldest;
  if (missed_.size > 0 && !may_stand_in(entries_[missed_.oldest], now)) return missed_.oldest;
  for (const List* list : {&found_, &tried_}) {
    if (list->size > 0) return list->oldest;
  }
  return missed_.oldest;
}

void AnswerCache::insert(std::uint32_t table, std::string_view key, const Answer& answer,
                         std::chrono::nanoseconds longest_life) {
  if (std::holds_alternative<Unavailable>(answer)) return;
  const std::optional<Place> before = find_place(table, key);
  if (before) remove(*before);
  const Found* found = std::get_if<Found>(&answer);
  if (limits_.entries == 0 || !fits(key, found != nullptr ? *found : Found{})) return;

  Entry entry;
  Block block = make_block(key, found != nullptr ? found->values : std::vector<std::string>());
  entry.block = std::move(block.octets);
  entry.block_size = block.size;
  entry.key_size = static_cast<std::uint32_t>(key.size());
  entry.values = found != nullptr ? static_cast<std::uint32_t>(found->values.size()) : 0;
  const std::chrono::nanoseconds life =
      std::min<std::chrono::nanoseconds>({ttl_of(entry), longest_life, kLongestLife});
  entry.life = std::chrono::ceil<Life>(life);
  entry.expiry = now_() + entry.life;
  entry.table = table & 0x7FFF'FFFFU;  // tables are few
  entry.came_again = before ? 1 : 0;
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
  index_[find_slot(entries_[place].hash, table, key)] = slot_for(place);
  List& list = list_of(entries_[place]);
  list.octets += cost(entries_[place]);
  ++list.size;
  link_newest(place);
}

void AnswerCache::erase(std::uint32_t table, std::string_view key) {
  if (const std::optional<Place> place = find_place(table, key)) remove(*place);
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
  found_ = {};
  tried_ = {};
  missed_ = {};
  free_ = kNowhere;
}

void AnswerCache::doubt_all() {
  const Clock::time_point now = now_();
  if (now >= doubt_end_) {
    dead_before_ = doubted_before_;
    doubt_end_ = now + kDoubt;
  }
  doubted_before_ = now;
}

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
    const std::size_t home = entries_[place_in(index_[next])].hash & mask;
    if (((next - home) & mask) < ((next - hole) & mask)) continue;  // home lies behind the hole
    index_[hole] = index_[next];
    hole = next;
  }
  index_[hole] = 0;
}

void AnswerCache::grow_index() {
  const std::vector<std::uint32_t> smaller =
      std::exchange(index_, std::vector<std::uint32_t>(index_.size() * 2, 0));
  const std::size_t smaller_mask = smaller.size() - 1;
  for (const std::uint32_t content : smaller) {
    if (content == 0) continue;
    const Place place = static_cast<Place>((content & smaller_mask) - 1);
    std::size_t slot = entries_[place].hash & slot_mask();
    while (index_[slot] != 0) slot = (slot + 1) & slot_mask();
    index_[slot] = slot_for(place);
  }
}

void AnswerCache::use(Place place) {
  unlink(place);
  link_newest(place);
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
