#include "lookup/resolver.h"

#include <utility>

namespace lmtpd::lookup {

Resolver::Resolver(ResolverSettings settings) : settings_(std::move(settings)) {}

std::optional<Resolution> Resolver::resolve(const Address& recipient, Client& client,
                                            std::uint64_t id) {
  return inquiries_.begin(
      [this, recipient, evaluation = std::optional<Evaluation>()](Answers& answers) mutable {
        if (!evaluation) evaluation.emplace(recipient, settings_, answers);
        return evaluation->run();
      },
      client, id);
}

}  // namespace lmtpd::lookup
