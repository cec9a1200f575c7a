// lookup/table_search.h -- asks a parameter's tables for an address's keys, as far as answers are
// known.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "lmtpd/base/result.h"
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

// Answers may be old (`was`): the cache has them stand in where a database is away, each as of a
// time of its own, beside others that are new. An old answer refuses nobody, and no copy is lost
// for it:
// * What is there by an old answer counts. Mail goes to where its rows lead.
// * What is not there by an old answer lets the search go on to the address's other keys and
//   tables. A catch-all does not have the mail then: the row that may be there by now comes first.
// * Nothing follows from what is missing, or refused, at the end of a way with an old answer on it,
//   be that itself as new as can be: the old alias that has led there may lead to somebody else by
//   now. Nobody is refused, no target counts as dead or remote, and no catch-all has the mail that
//   an old alias leads to.
// So who has met an old answer is delivered to all his mailboxes, or told to come again.
class TableSearch {
 public:
  // The folded domain decides whether keys without a domain are asked for.
  TableSearch(const ResolverSettings& settings, Answers& answers)
      : settings_(&settings), answers_(&answers) {}

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

  // lookup_failed where an answer so far was old: to be asked before anything is refused.
  [[nodiscard]] std::optional<Error> doubt() const { return doubt_of(old_); }

  // `found`, by a key that stands for many; its failure where there may be a row by now that comes
  // before it. The find_ above see to "@domain" themselves.
  [[nodiscard]] Search certain(Search found) const;

 private:
  // One answer on its own: absent, found (also for nothing but dummies), failed or pending.
  [[nodiscard]] Search look(Table& table, const AddressKey* key, std::string_view text);
  [[nodiscard]] static std::optional<Error> doubt_of(const Table* table);
  // Found: the key is to be asked for.
  [[nodiscard]] Search applies(const AddressKey& key, std::string_view domain);

  const ResolverSettings* settings_;
  Answers* answers_;
  const Table* old_ = nullptr;     // the first whose answer was old
  const Table* astray_ = nullptr;  // the first whose old answer may have led past the right row
};

}  // namespace lmtpd::lookup
