// lookup/resolver.h -- from a recipient to the mailboxes that its mail goes to.
//
// evaluate() is the rules, as a pure function of the answers. Resolver runs it over the tables
// (inquiry.h): an alias step costs one round trip, uid and gid together one more.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "lmtpd/base/address.h"
#include "lmtpd/base/result.h"
#include "lookup/inquiry.h"
#include "lookup/mailbox_lookup.h"
#include "lookup/resolver_settings.h"
#include "lookup/table_search.h"

namespace lmtpd::lookup {

struct Resolution {
  // One at least, each path once. Else unknown_user, lookup_failed, alias_limit, bad_mailbox,
  // remote_target, transport_error or transport_retry.
  Result<std::vector<ResolvedMailbox>> mailboxes;
  // For the log: what the administrator should mend although mail is delivered, or cannot see from
  // the recipient's log line.
  std::vector<std::string> notes;
};

[[nodiscard]] std::optional<Resolution> evaluate(const Address& recipient,
                                                 const ResolverSettings& settings,
                                                 Answers& answers);

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
