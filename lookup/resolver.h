// lookup/resolver.h -- from a recipient to the mailboxes that its mail goes to.
//
// Runs an Evaluation over the tables (inquiry.h): an alias step costs one round trip, uid and gid
// together one more.
#pragma once

#include <cstdint>
#include <optional>

#include "lmtpd/base/address.h"
#include "lookup/evaluation.h"
#include "lookup/inquiry.h"
#include "lookup/resolver_settings.h"

namespace lmtpd::lookup {

class Resolver {
 public:
  using Client = Inquiries<Resolution>::Client;

  explicit Resolver(ResolverSettings settings);
  Resolver(const Resolver&) = delete;
  Resolver& operator=(const Resolver&) = delete;

  // The resolution where it is known at once. Else nullopt, and `client` is told once, later,
  // unless abandon() comes before.
  [[nodiscard]] std::optional<Resolution> resolve(const Address& recipient, Client& client,
                                                  std::uint64_t id);
  // The client is gone: nothing is told to it any more.
  void abandon(const Client& client) { inquiries_.abandon(client); }

  // Resolutions whose tables have not answered everything.
  [[nodiscard]] std::size_t under_way() const { return inquiries_.under_way(); }

 private:
  ResolverSettings settings_;
  Inquiries<Resolution> inquiries_;
};

}  // namespace lmtpd::lookup
