// lookup/table_search.h -- asks a parameter's tables for an address's keys, as far as answers are
// known.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "lookup/address_keys.h"
#include "lookup/resolver_settings.h"
#include "lookup/table.h"

namespace lmtpd::lookup {

// Where answers come from. A rule that meets one that is not known gives up, and is run again when
// it is: it finds the same answers again, and may go on from where it stopped.
class Answers {
 public:
  // nullptr: not known yet.
  [[nodiscard]] virtual const Answer* need(Table& table, std::string_view key) = 0;
  // It will probably be needed next: worth asking for on the same round trip.
  virtual void prefetch(Table& table, std::string_view key) = 0;

  // What the following questions are about.
  enum class Step { aliases, mailbox };
  virtual void on_step(Step, const PlainAddress&) {}

 protected:
  ~Answers() = default;
};

struct Search {
  enum class Outcome {
    absent,
    found,
    dummy,    // the address itself has nothing but the literal `dummy` (docs/differences.md)
    failed,   // `why`: a table could not be asked
    pending,  // an answer is not known yet
  };
  Outcome outcome = Outcome::absent;
  const AddressKey* key = nullptr;  // found: that answered
  const Found* answer = nullptr;
  std::string why;
};

// What `dummy` leaves of an answer's values.
[[nodiscard]] std::vector<std::string_view> values_without_dummy(const Found& answer);

class TableSearch {
 public:
  // The folded domain decides whether keys without a domain are asked for.
  TableSearch(const ResolverSettings& settings, Answers& answers)
      : settings_(&settings), answers_(&answers) {}

  // In what follows a catch-all ("@domain") fails where there is a doubt(): the row
  // that may be there by now would come before it.

  // The first key that any of the tables has, in its quoted form only, as alias tables are asked.
  [[nodiscard]] Search find_alias(std::span<const AddressKey> keys, std::string_view domain);

  // As mailbox, uid, gid and transport tables are asked: each key in both forms, dummies left out.
  // A `dummy` ends the search where the key names an address, else it counts for nothing.
  [[nodiscard]] Search find_value(const Tables& tables, std::span<const AddressKey> keys,
                                  std::string_view domain);

  // Found: the list has the domain. `domain` is folded.
  [[nodiscard]] Search find_domain(const DomainList& list, std::string_view domain);

  // All that a find_ above may ask for.
  void prefetch_alias(std::span<const AddressKey> keys, std::string_view domain);
  void prefetch_value(const Tables& tables, std::span<const AddressKey> keys,
                      std::string_view domain);

  // For who follows the search: from here on it is about `address`.
  void on_step(Answers::Step step, const PlainAddress& address) {
    answers_->on_step(step, address);
  }

  // Why what was absent so far may not be so any more; empty: it is so. With a doubt, nobody is
  // refused and no target counts as dead.
  [[nodiscard]] const std::string& doubt() const { return doubt_; }

 private:
  // One answer on its own: absent, found (also for nothing but dummies), failed or pending.
  [[nodiscard]] Search look(Table& table, const AddressKey* key, std::string_view text);
  // `found`, or its failure if it is a catch-all's that may not count.
  [[nodiscard]] Search certain(Search found) const;
  // Found: the key is to be asked for.
  [[nodiscard]] Search applies(const AddressKey& key, std::string_view domain);

  const ResolverSettings* settings_;
  Answers* answers_;
  std::string doubt_;
};

}  // namespace lmtpd::lookup
