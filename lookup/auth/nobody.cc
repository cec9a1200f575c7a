#include "lookup/auth/nobody.h"

#include <algorithm>

namespace lmtpd::lookup {
namespace {

constexpr std::string_view kFirstHash =
    "$y$j9T$A4gna6NhnkeSqmuybjuJ/.$VZTZGdauoYzvq4/FrtHspyHJ.HeXQROukeFaxZ2PQb/";
// 4096 iterations, 16 octets of salt.
constexpr std::string_view kFirstVerifier =
    "{SCRAM-SHA-256}4096,AAAAAAAAAAAAAAAAAAAAAA==,AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=,"
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

}  // namespace

Nobody::Nobody(const Key& key)
    : key_(key),
      all_{.until_one_is_met = *StoredPassword::parse(kFirstHash)},
      scram_{.until_one_is_met = *StoredPassword::parse(kFirstVerifier)} {}

void Nobody::meet(const StoredPassword& stored) {
  add(all_, stored);
  if (stored.scram() != nullptr) add(scram_, stored);
}

void Nobody::add(Kinds& kinds, const StoredPassword& stored) {
  std::string name = stored.kind();
  if (kinds.met.size() >= kMostKinds ||
      std::ranges::find(kinds.met, name, &Kind::name) != kinds.met.end())
    return;
  kinds.met.push_back({std::move(name), stored});
}

const StoredPassword& Nobody::password(std::string_view user) const { return choose(all_, user); }

const StoredPassword& Nobody::choose(const Kinds& kinds, std::string_view user) const {
  const StoredPassword* chosen = &kinds.until_one_is_met;
  Digest highest{};
  for (const auto& [name, example] : kinds.met) {
    const Digest digest = keyed("kind " + name, user);
    if (digest < highest) continue;
    highest = digest;
    chosen = &example;
  }
  return *chosen;
}

ScramVerifier Nobody::verifier(std::string_view user) const {
  const ScramVerifier& like = *choose(scram_, user).scram();
  ScramVerifier verifier{.iterations = like.iterations};
  for (int part = 0; verifier.salt.size() < like.salt.size(); ++part) {
    verifier.salt += octets(keyed("salt " + std::to_string(part), user));
  }
  verifier.salt.resize(like.salt.size());
  verifier.stored_key = keyed("stored", user);
  verifier.server_key = keyed("server", user);
  return verifier;
}

Digest Nobody::keyed(std::string_view purpose, std::string_view user) const {
  std::string text(purpose);
  text += '\0';
  text += user;
  return hmac_sha256({reinterpret_cast<const char*>(key_.data()), key_.size()}, text);
}

}  // namespace lmtpd::lookup
