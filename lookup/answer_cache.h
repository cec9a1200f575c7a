// lookup/answer_cache.h -- what tables have answered, bounded in entries and in octets.
//
// The entry that was used least recently goes first. An answer lives for its ttl; Unavailable is
// none and is not taken. One cache serves all tables, each under a number of its own. Not
// thread-safe.
//
// An entry is one block of octets (key and values) and 48 octets of bookkeeping; it is found
// through an open-addressing index of 32-bit places. Keys come from clients: the hash is seeded
// (SipHash).
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "lmtpd/base/ticket.h"
#include "lookup/table.h"

namespace lmtpd::lookup {

class AnswerCache {
 public:
  struct Limits {
    std::uint64_t entries = 100'000;    // cache_size; 0: keeps nothing
    std::uint64_t octets = 67'108'864;  // cache_memory: blocks, bookkeeping and index
    std::chrono::nanoseconds ttl = std::chrono::seconds(300);          // of Found
    std::chrono::nanoseconds negative_ttl = std::chrono::seconds(10);  // of Absent
  };
  using Now = std::function<Clock::time_point()>;

  AnswerCache(const Limits& limits, Now now);

  // nullopt: none, or one that is past its life.
  [[nodiscard]] std::optional<Answer> find(std::uint32_t table, std::string_view key);
  void insert(std::uint32_t table, std::string_view key, const Answer& answer);
  void erase(std::uint32_t table, std::string_view key);

  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] std::uint64_t octets() const { return octets_; }

 private:
  using Place = std::uint32_t;  // in entries_; the index holds it plus one, 0 is an empty slot
  static constexpr Place kNowhere = UINT32_MAX;

  struct Entry {
    std::unique_ptr<char[]> block;  // the key, then each value behind its length
    Clock::time_point expiry;
    std::uint32_t hash = 0;
    std::uint32_t table = 0;
    std::uint32_t key_size = 0;
    std::uint32_t block_size = 0;
    std::uint32_t values = 0;  // 0: Absent
    Place older = kNowhere;
    Place newer = kNowhere;  // of a free entry: the next free one

    [[nodiscard]] std::string_view key() const { return {block.get(), key_size}; }
  };

  [[nodiscard]] std::uint32_t hash(std::uint32_t table, std::string_view key) const;
  // The slot of the index that holds the entry, or the empty one where it would go.
  [[nodiscard]] std::size_t find_slot(std::uint32_t hash, std::uint32_t table,
                                      std::string_view key) const;
  void remove(Place place);
  void remove_slot(std::size_t slot);
  void grow_index();
  void unlink(Place place);
  void link_newest(Place place);
  [[nodiscard]] static std::uint64_t cost(const Entry& entry);

  Limits limits_;
  Now now_;
  std::array<std::uint8_t, 16> seed_{};
  std::vector<Entry> entries_;
  std::vector<Place> index_;
  std::size_t size_ = 0;
  std::uint64_t octets_ = 0;
  Place newest_ = kNowhere;
  Place oldest_ = kNowhere;
  Place free_ = kNowhere;
};

}  // namespace lmtpd::lookup
