// lookup/answer_cache.h -- what tables have answered, bounded in entries and in octets.
//
// The entry that was used least recently goes first. What tables do not have takes a quarter at
// most, and a quarter more what of that was still asked for when its life was over: who tries many
// unknown addresses drives out neither users nor what is known not to be there of their own keys.
// An answer lives for its ttl; Unavailable is none and changes nothing. What is past its life is no
// answer, but stays at hand for when the database is away. One cache serves all tables, each under
// a number of its own. Not thread-safe.
//
// An entry is one block of octets (key and values) and 48 octets of bookkeeping; it is found
// through an open-addressing index of 32-bit places, tagged with bits of the hash. Keys come from
// clients: the hash is seeded (SipHash).
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

// Whether `key` is `domain` itself or an address in it.
[[nodiscard]] bool is_of_domain(std::string_view key, std::string_view domain);

class AnswerCache {
 public:
  struct Limits {
    std::uint64_t entries = 100'000;    // cache_size; 0: keeps nothing
    std::uint64_t octets = 67'108'864;  // cache_memory: blocks, bookkeeping and index
    std::chrono::nanoseconds ttl = std::chrono::seconds(300);          // of Found
    std::chrono::nanoseconds negative_ttl = std::chrono::seconds(10);  // of Absent
    std::chrono::nanoseconds stale_ttl = std::chrono::seconds(3600);   // find_stale(), past the ttl
  };
  struct Statistics {
    std::uint64_t hits = 0;
    std::uint64_t misses = 0;
    std::uint64_t stale_hits = 0;
    std::uint64_t driven_out = 0;  // to make room
  };
  // An answer is ending in the last kEnding of its life, of a short life in the last two thirds.
  // This and kDoubt are longer than Availability::kPatience: that a database does not answer is
  // known before anybody has to wait for it.
  static constexpr std::chrono::seconds kEnding{2};
  // How long an answer lives on at most that is in doubt; it is ending all that time.
  static constexpr std::chrono::seconds kDoubt{2};
  using Now = std::function<Clock::time_point()>;

  AnswerCache(const Limits& limits, Now now);

  // nullopt: none, or one that is past its life. `is_ending` becomes true where that is near: who
  // asks for it anew now, in the background, spares the next one the wait.
  [[nodiscard]] std::optional<Answer> find(std::uint32_t table, std::string_view key,
                                           bool* is_ending = nullptr);
  // Whether find() would have one. Not a use of it.
  [[nodiscard]] bool has_fresh(std::uint32_t table, std::string_view key) const;

  // An answer past its ttl, by stale_ttl at most, which says that it was. To be asked only where
  // no other answer can be had.
  [[nodiscard]] std::optional<Answer> find_stale(std::uint32_t table, std::string_view key);
  // Whether find_stale() would have one.
  [[nodiscard]] bool has_stale(std::uint32_t table, std::string_view key) const;
  // It lives no longer than `longest_life`, whatever its ttl.
  void insert(std::uint32_t table, std::string_view key, const Answer& answer,
              std::chrono::nanoseconds longest_life = std::chrono::nanoseconds::max());

  void erase(std::uint32_t table, std::string_view key);
  // Of all tables, the key `domain` and those that end in "@domain". Looks at every entry.
  void erase_domain(std::string_view domain);
  void erase_all();
  // All there is may not be so any more: what is not asked for anew within kDoubt ends then, and
  // stays at hand for find_stale(). Not at once, or all who come next would wait together. Doubt
  // on doubt does not put off the end.
  void doubt_all();

  [[nodiscard]] Clock::time_point now() const { return now_(); }

  [[nodiscard]] std::size_t size() const { return found_.size + tried_.size + missed_.size; }
  [[nodiscard]] std::uint64_t octets() const {
    return found_.octets + tried_.octets + missed_.octets;
  }
  [[nodiscard]] const Statistics& statistics() const { return statistics_; }

 private:
  using Place = std::uint32_t;  // in entries_
  static constexpr Place kNowhere = UINT32_MAX;
  using Life = std::chrono::duration<std::uint32_t, std::milli>;

  struct Entry {
    std::unique_ptr<char[]> block;  // the key, then each value behind its length
    Clock::time_point expiry;
    std::uint32_t hash = 0;
    std::uint32_t table : 31 = 0;
    std::uint32_t came_again : 1 = 0;  // there was one of its key
    std::uint32_t key_size = 0;
    std::uint32_t block_size = 0;
    std::uint32_t values = 0;  // 0: Absent
    Life life{};               // until expiry, from when it came
    Place older = kNowhere;
    Place newer = kNowhere;  // of a free entry: the next free one

    [[nodiscard]] std::string_view key() const { return {block.get(), key_size}; }
  };

  // In order of use.
  struct List {
    Place newest = kNowhere;
    Place oldest = kNowhere;
    std::size_t size = 0;
    std::uint64_t octets = 0;
  };

  [[nodiscard]] List& list_of(const Entry& entry) {
    if (entry.values != 0) return found_;
    return entry.came_again != 0 ? missed_ : tried_;
  }
  [[nodiscard]] std::chrono::nanoseconds ttl_of(const Entry& entry) const {
    return entry.values == 0 ? limits_.negative_ttl : limits_.ttl;
  }
  [[nodiscard]] bool is_doubted(const Entry& entry) const;
  [[nodiscard]] bool is_fresh(const Entry& entry, Clock::time_point now) const;
  [[nodiscard]] bool is_ending(const Entry& entry, Clock::time_point now) const;
  [[nodiscard]] bool may_stand_in(const Entry& entry, Clock::time_point now) const;
  void use(Place place);
  // Whether one more entry like that fits; else the one that has to go.
  [[nodiscard]] std::optional<Place> in_the_way_of(const Entry& entry);
  [[nodiscard]] std::uint32_t hash(std::uint32_t table, std::string_view key) const;
  // What a slot holds: 0, or the place plus one in the bits that number the slots, which it fits
  // in as half of them are empty, and in those above the hash's.
  [[nodiscard]] std::uint32_t slot_mask() const {
    return static_cast<std::uint32_t>(index_.size() - 1);
  }
  [[nodiscard]] Place place_in(std::uint32_t slot) const { return (slot & slot_mask()) - 1; }
  [[nodiscard]] std::uint32_t slot_for(Place place) const {
    return (entries_[place].hash & ~slot_mask()) | (place + 1);
  }
  [[nodiscard]] std::optional<Place> find_place(std::uint32_t table, std::string_view key) const;
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
  std::vector<std::uint32_t> index_;
  List found_;
  List tried_;   // Absent, for the first time
  List missed_;  // Absent, again
  Place free_ = kNowhere;
  Clock::time_point dead_before_ = Clock::time_point::min();  // what came before has ended
  Clock::time_point doubted_before_ = Clock::time_point::min();
  Clock::time_point doubt_end_ = Clock::time_point::min();
  Statistics statistics_;
};

}  // namespace lmtpd::lookup
