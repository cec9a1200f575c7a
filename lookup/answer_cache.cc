#include "lookup/answer_cache.h"

#include <sodium.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

namespace lmtpd::lookup {
namespace {

constexpr std::size_t kFirstIndexSize = 1024;
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

std::optional<Answer> AnswerCache::find(std::uint32_t table, std::string_view key) {
  const Place place = index_[find_slot(hash(table, key), table, key)];
  if (place == 0) return std::nullopt;
  const Entry& entry = entries_[place - 1];
  if (now_() >= entry.expiry) return std::nullopt;
  unlink(place - 1);
  link_newest(place - 1);
  if (entry.values == 0) return Absent{};
  return Found{read_values(entry.block.get() + entry.key_size, entry.values)};
}

void AnswerCache::insert(std::uint32_t table, std::string_view key, const Answer& answer) {
  erase(table, key);
  const Found* found = std::get_if<Found>(&answer);
  if (found == nullptr && !std::holds_alternative<Absent>(answer)) return;
  if (limits_.entries == 0 || !fits(key, found != nullptr ? *found : Found{})) return;

  Entry entry;
  Block block = make_block(key, found != nullptr ? found->values : std::vector<std::string>());
  entry.block = std::move(block.octets);
  entry.block_size = block.size;
  entry.key_size = static_cast<std::uint32_t>(key.size());
  entry.values = found != nullptr ? static_cast<std::uint32_t>(found->values.size()) : 0;
  entry.expiry = now_() + (found != nullptr ? limits_.ttl : limits_.negative_ttl);
  entry.table = table;
  entry.hash = hash(table, key);
  if (cost(entry) > limits_.octets) return;
  while (size_ >= limits_.entries || octets_ + cost(entry) > limits_.octets) remove(oldest_);

  if (2 * (size_ + 1) > index_.size()) grow_index();
  octets_ += cost(entry);
  ++size_;
  Place place = free_;
  if (place == kNowhere) {
    place = static_cast<Place>(entries_.size());
    entries_.push_back(std::move(entry));
  } else {
    free_ = entries_[place].newer;
    entries_[place] = std::move(entry);
  }
  index_[find_slot(entries_[place].hash, table, key)] = place + 1;
  link_newest(place);
}

void AnswerCache::erase(std::uint32_t table, std::string_view key) {
  const Place place = index_[find_slot(hash(table, key), table, key)];
  if (place != 0) remove(place - 1);
}

void AnswerCache::remove(Place place) {
  Entry& entry = entries_[place];
  remove_slot(find_slot(entry.hash, entry.table, entry.key()));
  unlink(place);
  octets_ -= cost(entry);
  --size_;
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
  (entry.newer == kNowhere ? newest_ : entries_[entry.newer].older) = entry.older;
  (entry.older == kNowhere ? oldest_ : entries_[entry.older].newer) = entry.newer;
}

void AnswerCache::link_newest(Place place) {
  Entry& entry = entries_[place];
  entry.newer = kNowhere;
  entry.older = newest_;
  (newest_ == kNowhere ? oldest_ : entries_[newest_].newer) = place;
  newest_ = place;
}

}  // namespace lmtpd::lookup
