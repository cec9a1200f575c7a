// lookup/mailbox_lookup.h -- from a final address to its mailbox: path, uid and gid.
//
// Three searches that are independent of each other, as in virtual(8), and that of the transport
// table where it is asked for errors (transport_errors).
#pragma once

#include <optional>
#include <string>

#include "lmtpd/base/result.h"
#include "lmtpd/base/types.h"
#include "lookup/address_keys.h"
#include "lookup/resolver_settings.h"
#include "lookup/table_search.h"

namespace lmtpd::lookup {

struct ResolvedMailbox {
  std::string delivered_to;  // external form, in the row's spelling where a row stands for it
  MailboxPath path;
  MailboxOwner owner;
  bool operator==(const ResolvedMailbox&) const = default;
};

// nullopt: answers are missing. Fails with unknown_user, lookup_failed, bad_mailbox,
// transport_error or transport_retry; whether `search` is in doubt() is for the caller to ask.
[[nodiscard]] std::optional<Result<ResolvedMailbox>> find_mailbox(const PlainAddress& address,
                                                                  const ResolverSettings& settings,
                                                                  TableSearch& search);

}  // namespace lmtpd::lookup
