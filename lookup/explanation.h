// lookup/explanation.h -- a resolution, and every question that led to it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "lmtpd/base/address.h"
#include "lookup/inquiry.h"
#include "lookup/resolver.h"

namespace lmtpd::lookup {

struct Explanation {
  Resolution resolution;
  // For an administrator to read: an unindented line for each address on the way, and below it a
  // line for each key that was tried, with table, answer, and where the answer was.
  std::vector<std::string> lines;
};

class Explainer {
 public:
  using Client = Inquiries<Explanation>::Client;

  // The settings and their tables outlive it.
  explicit Explainer(const ResolverSettings& settings) : settings_(settings) {}

  // As Resolver::resolve(); the same tables, the same cache, the same rules.
  [[nodiscard]] std::optional<Explanation> explain(const Address& recipient, Client& client,
                                                   std::uint64_t id);
  void abandon(const Client& client) { inquiries_.abandon(client); }

 private:
  const ResolverSettings& settings_;
  Inquiries<Explanation> inquiries_;
};

}  // namespace lmtpd::lookup
