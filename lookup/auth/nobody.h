// lookup/auth/nobody.h -- what stands in for the stored password of a user who is not there.
//
// He is answered at the cost of a user who is, in the same way each time. So the kinds of stored
// passwords (StoredPassword::kind()) that users have are remembered as they are met, and each name
// has one of them, chosen by the key and the name: a kind that is met for the first time takes over
// some of the names, and changes nothing for the others (rendezvous hashing). Until one is met,
// yescrypt at Debian's cost stands for all, and for SCRAM what Dovecot and PostgreSQL make. SCRAM
// chooses among its own.
//
// What still tells: a kind that was not met yet, or after the first kMostKinds, is a user's; a name
// that changes its kind is nobody's, and so, probably, is one of a kind that few users have.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "lmtpd/base/ticket.h"
#include "lookup/auth/scram_verifier.h"
#include "lookup/auth/stored_password.h"

namespace lmtpd::lookup {

class Nobody {
 public:
  static constexpr std::size_t kMostKinds = 16;

  explicit Nobody(const Key& key);

  // A user has this.
  void meet(const StoredPassword& stored);

  // To spend the time on. It may be some user's: that it matches says nothing.
  [[nodiscard]] const StoredPassword& password(std::string_view user) const;
  // For SCRAM: a salt of his, and keys that no proof fits.
  [[nodiscard]] ScramVerifier verifier(std::string_view user) const;

 private:
  struct Kind {
    std::string name;
    StoredPassword example;
  };
  struct Kinds {
    StoredPassword until_one_is_met;
    std::vector<Kind> met;
  };

  static void add(Kinds& kinds, const StoredPassword& stored);
  [[nodiscard]] const StoredPassword& choose(const Kinds& kinds, std::string_view user) const;
  [[nodiscard]] Digest keyed(std::string_view purpose, std::string_view user) const;

  const Key key_;
  Kinds all_;
  Kinds scram_;  // of them, those that SCRAM can use
};

}  // namespace lmtpd::lookup
