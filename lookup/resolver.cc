#include "lookup/resolver.h"

#include <utility>

namespace lmtpd::lookup {

Resolver::Resolver(ResolverSettings settings) : settings_(std::move(settings)) {}

std::optional<Resolution> Resolver::resolve(const Address& recipient, Client& client,
                                            std::uint64_t id) {
  return inquiries_.begin(
      [this, recipient](Answers& answers) { return evaluate(recipient, settings_, answers); },
      client, id);
}

}  // namespace lmtpd::lookup
