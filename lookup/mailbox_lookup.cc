#include "lookup/mailbox_lookup.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "lmtpd/base/enhanced_code.h"
#include "lmtpd/base/log.h"
#include "lmtpd/base/messages.h"
#include "lookup/fold.h"

namespace lmtpd::lookup {
namespace {

using Outcome = Search::Outcome;

Result<std::string_view> only_value(const Search& found, std::string_view what) {
  const std::vector<std::string_view> values = values_without_dummy(*found.answer);
  if (values.size() == 1) return values.front();
  return fail(Reason::bad_mailbox,
              fmt::format("{} {}s for \"{}\"", values.size(), what, escaped(found.key->external)));
}

// Digits alone, as far as 32 bits go; -1 is no id (setresuid(2)).
std::optional<std::uint32_t> parse_id(std::string_view text) {
  std::uint32_t id = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), id);
  if (error != std::errc() || end != text.data() + text.size() || id == UINT32_MAX) return {};
  return id;
}

// `error` refuses for good and `retry` for now; a status of another class is replaced by the kind's
// own, X.0.0, as bounce(8) and defer(8) do.
Error transport_refusal(std::string_view kind, std::string_view words) {
  const bool is_error = kind == "error";
  if (words.empty()) words = "Address is undeliverable";
  std::string_view code = take_enhanced_code(words);
  if (!code.starts_with(is_error ? '5' : '4')) code = is_error ? "5.0.0" : "4.0.0";
  std::string text(code);
  if (!words.empty()) text += fmt::format(" {}", words);
  return {is_error ? Reason::transport_error : Reason::transport_retry, escaped(text)};
}

class MailboxLookup {
 public:
  MailboxLookup(const PlainAddress& address, const ResolverSettings& settings, TableSearch& search)
      : address_(address),
        settings_(settings),
        search_(search),
        keys_(address_keys(address, settings.extension)),
        domain_(fold(address.domain)) {}

  std::optional<Result<ResolvedMailbox>> run() {
    search_.on_step(Answers::Step::mailbox, address_);
    const Search mailbox = search_.find_value(settings_.virtual_mailbox_maps, keys_, domain_);
    switch (mailbox.outcome) {
      case Outcome::pending:
        search_.prefetch_value(settings_.virtual_mailbox_maps, keys_, domain_);
        return std::nullopt;
      case Outcome::failed:
        return fail(Reason::lookup_failed, mailbox.why);
      case Outcome::absent:
        return fail(Reason::unknown_user, fmt::format("unknown user: \"{}\"", name()));
      case Outcome::dummy:
        return bad("has a dummy row and no mailbox");
      case Outcome::found:
        break;
    }
    return complete(mailbox);
  }

 private:
  [[nodiscard]] std::string name() const { return escaped(address_.external()); }

  [[nodiscard]] tl::unexpected<Error> bad(std::string_view what) const {
    return fail(Reason::bad_mailbox, fmt::format("<{}> {}", name(), what));
  }

  std::optional<Result<ResolvedMailbox>> complete(const Search& mailbox) {
    const std::vector<AddressKey> transports = settings_.transport_errors
                                                   ? transport_keys(address_, settings_.extension)
                                                   : std::vector<AddressKey>();
    const Search uid = search_.find_value(settings_.virtual_uid_maps, keys_, domain_);
    const Search gid = search_.find_value(settings_.virtual_gid_maps, keys_, domain_);
    const Search transport = search_.find_value(settings_.transport_maps, transports, domain_);
    const auto any = [&](Outcome outcome) {
      return uid.outcome == outcome || gid.outcome == outcome || transport.outcome == outcome;
    };
    if (any(Outcome::pending)) {
      search_.prefetch_value(settings_.virtual_uid_maps, keys_, domain_);
      search_.prefetch_value(settings_.virtual_gid_maps, keys_, domain_);
      search_.prefetch_value(settings_.transport_maps, transports, domain_);
      return std::nullopt;
    }
    for (const Search* step : {&uid, &gid, &transport}) {
      if (step->outcome == Outcome::failed) return fail(Reason::lookup_failed, step->why);
    }
    if (std::optional<Error> refusal = refused_by(transport)) {
      return tl::unexpected(*std::move(refusal));
    }
    Result<MailboxPath> path = path_of(mailbox);
    if (!path) return tl::unexpected(std::move(path.error()));
    Result<MailboxOwner> owner = owner_of(uid, gid);
    if (!owner) return tl::unexpected(std::move(owner.error()));
    std::string address = delivered_to(*mailbox.key);
    // By default no address of an alias is as long, nor one that a client names.
    if (address.size() > kLongestAddress) {
      return fail(Reason::alias_limit,
                  fmt::format("an address of over {} octets", kLongestAddress));
    }
    return ResolvedMailbox{std::move(address), *std::move(path), *owner};
  }

  [[nodiscard]] static std::optional<Error> refused_by(const Search& transport) {
    if (transport.outcome != Outcome::found) return std::nullopt;
    const std::string row = fmt::format("{}", fmt::join(transport.answer->values, ","));
    const std::size_t colon = row.find(':');
    const std::string_view kind = std::string_view(row).substr(0, colon);
    if (kind != "error" && kind != "retry") return std::nullopt;
    const bool has_words = colon != std::string::npos;
    return transport_refusal(kind, has_words ? std::string_view(row).substr(colon + 1) : "");
  }

  [[nodiscard]] Result<MailboxPath> path_of(const Search& mailbox) const {
    const Result<std::string_view> value = only_value(mailbox, "mailbox row");
    if (!value) return tl::unexpected(value.error());
    if (settings_.mailbox_path_template.empty() || !only_says_exists(*value, *mailbox.key)) {
      return parse_path(*value);
    }
    return fill_template(*mailbox.key);
  }

  [[nodiscard]] Result<MailboxPath> parse_path(std::string_view value) const {
    Result<MailboxPath> path = MailboxPath::parse(value);
    if (!path) return bad(escaped(path.error().text));
    return path;
  }

  // Some sites' mailbox tables answer `1`, or the address, for a mailbox that exists.
  [[nodiscard]] bool only_says_exists(std::string_view value, const AddressKey& key) const {
    if (value == "1") return true;
    const std::string folded = fold(value);
    return folded == key.external || folded == key.internal || folded == fold(address_.internal());
  }

  // %s address, %u local part, %d domain, %% itself: folded, and without an extension that the key
  // leaves out.
  [[nodiscard]] Result<MailboxPath> fill_template(const AddressKey& key) const {
    const std::string local_part =
        fold(std::string_view(address_.local_part).substr(0, key_local_part_size(key)));
    // A slash would lead a client's own choice of address into another's mailbox.
    for (const std::string& part : {local_part, domain_}) {
      if (part.find('/') != std::string::npos) return bad("has a slash: no mailbox_path_template");
    }
    std::string path;
    const std::string& form = settings_.mailbox_path_template;
    for (std::size_t at = 0; at < form.size(); ++at) {
      if (form[at] != '%' || at + 1 == form.size()) {
        path += form[at];
        continue;
      }
      switch (form[++at]) {
        case 's':
          path.append(local_part).append(1, '@').append(domain_);
          break;
        case 'u':
          path += local_part;
          break;
        case 'd':
          path += domain_;
          break;
        default:
          path += form[at];
      }
    }
    return parse_path(path);
  }

  // A catch-all serves the address whose extension the rules know, too.
  [[nodiscard]] std::size_t key_local_part_size(const AddressKey& key) const {
    using Kind = AddressKey::Kind;
    if (key.kind == Kind::full || key.kind == Kind::full_local) return std::string::npos;
    return extension_start(address_.local_part, settings_.extension);
  }

  [[nodiscard]] Result<MailboxOwner> owner_of(const Search& uid, const Search& gid) const {
    const Result<std::uint32_t> uid_value = id_of(uid, "uid");
    if (!uid_value) return tl::unexpected(uid_value.error());
    const Result<std::uint32_t> gid_value = id_of(gid, "gid");
    if (!gid_value) return tl::unexpected(gid_value.error());
    const MailboxOwner owner{Uid(*uid_value), Gid(*gid_value)};
    if (const std::optional<std::string> why = settings_.owner_policy.refusal(owner)) {
      return bad(fmt::format("has an owner that is refused: {}", *why));
    }
    return owner;
  }

  [[nodiscard]] Result<std::uint32_t> id_of(const Search& found, std::string_view what) const {
    if (found.outcome != Outcome::found) return bad(fmt::format("has no {}", what));
    const Result<std::string_view> value = only_value(found, what);
    if (!value) return tl::unexpected(value.error());
    const std::optional<std::uint32_t> id = parse_id(*value);
    if (!id) return bad(fmt::format("has {} \"{}\", which is none", what, escaped(*value)));
    return *id;
  }

  [[nodiscard]] std::string delivered_to(const AddressKey& key) const {
    // With full expansion a row that spells the address has replaced it already.
    if (settings_.alias_expansion == AliasExpansion::full || !key.is_address()) {
      return address_.external();
    }
    const std::string_view local_part = address_.local_part;
    const std::size_t row_size = key_local_part_size(key);
    PlainAddress spelt{fold(local_part.substr(0, row_size)), domain_};
    if (key.leaves_extension()) spelt.local_part += local_part.substr(row_size);
    return spelt.external();
  }

  const PlainAddress& address_;
  const ResolverSettings& settings_;
  TableSearch& search_;
  std::vector<AddressKey> keys_;
  std::string domain_;
};

}  // namespace

std::optional<Result<ResolvedMailbox>> find_mailbox(const PlainAddress& address,
                                                    const ResolverSettings& settings,
                                                    TableSearch& search) {
  if (address.domain.empty()) {
    return fail(Reason::unknown_user,
                fmt::format("unknown user: \"{}\"", escaped(address.external())));
  }
  return MailboxLookup(address, settings, search).run();
}

}  // namespace lmtpd::lookup
