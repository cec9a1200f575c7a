// lmtpd/base/ticket.cc -- the sealed form: {uid, gid, expiry, nonce, path} and then the two tags,
// the worker's over the body, the maker's over the body and the worker's tag.

#include "lmtpd/base/ticket.h"

#include <sodium.h>

#include <bit>
#include <cstdlib>

#include "lmtpd/base/wire.h"

namespace lmtpd {
namespace {

using Tag = std::array<std::uint8_t, 16>;

struct Body {
  MailboxOwner owner;
  std::int64_t expiry = 0;  // Clock ticks
  std::array<std::uint8_t, 8> nonce{};
  std::string_view path;
  static void fields(auto& self, auto&& field) {
    field(self.owner, self.expiry, self.nonce, self.path);
  }
};

struct OwnerName {
  std::array<std::uint8_t, 8> purpose{'w', 'o', 'r', 'k', 'e', 'r', '-', '1'};
  MailboxOwner owner;
  static void fields(auto& self, auto&& field) { field(self.purpose, self.owner); }
};

// Another one each time, and in each process.
std::array<std::uint8_t, 8> next_nonce() {
  static std::uint64_t last = [] {
    std::uint64_t first = 0;
    randombytes_buf(&first, sizeof first);
    return first;
  }();
  ++last;
  return std::bit_cast<std::array<std::uint8_t, 8>>(last);
}

void initialise_sodium() {
  static const bool ready = sodium_init() >= 0;
  if (!ready) std::abort();  // no source of randomness: nothing here could be trusted
}

template <std::size_t N>
std::array<std::uint8_t, N> keyed_hash(const Key& key, std::string_view text) {
  std::array<std::uint8_t, N> out{};
  crypto_generichash(out.data(), out.size(), reinterpret_cast<const unsigned char*>(text.data()),
                     text.size(), key.data(), key.size());
  return out;
}

std::string_view view(const Tag& tag) {
  return {reinterpret_cast<const char*>(tag.data()), tag.size()};
}

bool same(std::string_view carried, const Tag& expected) {
  return carried.size() == expected.size() &&
         sodium_memcmp(carried.data(), expected.data(), expected.size()) == 0;
}

// The three parts of a sealed ticket.
struct Parts {
  std::string_view body;
  std::string_view worker_tag;
  std::string_view before_maker_tag;
  std::string_view maker_tag;
};

std::optional<Parts> split(std::string_view sealed) {
  constexpr std::size_t kTag = std::tuple_size_v<Tag>;
  if (sealed.size() < 2 * kTag) return std::nullopt;
  const std::size_t body = sealed.size() - 2 * kTag;
  return Parts{sealed.substr(0, body), sealed.substr(body, kTag), sealed.substr(0, body + kTag),
               sealed.substr(body + kTag)};
}

std::optional<Ticket> parse_body(std::string_view octets) {
  const std::optional<Body> body = decode<Body>(octets);
  if (!body) return std::nullopt;
  Result<MailboxPath> path = MailboxPath::parse(std::string(body->path) + '/');
  if (!path || path->value() != body->path) return std::nullopt;
  return Ticket{body->owner, *std::move(path), Clock::time_point(Clock::duration(body->expiry))};
}

std::optional<Ticket> unexpired(std::optional<Ticket> ticket, Clock::time_point now) {
  if (ticket && now >= ticket->expiry) ticket.reset();
  return ticket;
}

}  // namespace

Key make_ticket_key() {
  initialise_sodium();
  Key key{};
  randombytes_buf(key.data(), key.size());
  return key;
}

Key derive_worker_key(const Key& ticket_key, MailboxOwner owner) {
  return keyed_hash<std::tuple_size_v<Key>>(ticket_key, encode(OwnerName{.owner = owner}));
}

std::string seal_ticket(const Key& ticket_key, const Ticket& ticket) {
  initialise_sodium();
  const Body body{ticket.owner, ticket.expiry.time_since_epoch().count(), next_nonce(),
                  ticket.path.value()};
  std::string sealed = encode(body);
  sealed += view(keyed_hash<16>(derive_worker_key(ticket_key, ticket.owner), sealed));
  sealed += view(keyed_hash<16>(ticket_key, sealed));
  return sealed;
}

std::optional<Ticket> read_ticket(std::string_view sealed) {
  const std::optional<Parts> parts = split(sealed);
  return parts ? parse_body(parts->body) : std::nullopt;
}

MailboxOwner read_ticket_owner(std::string_view sealed) {
  MailboxOwner owner;
  WireReader reader(sealed);
  reader(owner);
  return owner;
}

std::optional<Ticket> open_ticket_as_worker(const Key& worker_key, MailboxOwner owner,
                                            std::string_view sealed, Clock::time_point now) {
  const std::optional<Parts> parts = split(sealed);
  if (!parts || !same(parts->worker_tag, keyed_hash<16>(worker_key, parts->body))) {
    return std::nullopt;
  }
  std::optional<Ticket> ticket = unexpired(parse_body(parts->body), now);
  if (ticket && ticket->owner != owner) ticket.reset();
  return ticket;
}

std::optional<Ticket> open_ticket_as_maker(const Key& ticket_key, std::string_view sealed,
                                           Clock::time_point now) {
  const std::optional<Parts> parts = split(sealed);
  if (!parts || !same(parts->maker_tag, keyed_hash<16>(ticket_key, parts->before_maker_tag))) {
    return std::nullopt;
  }
  return unexpired(parse_body(parts->body), now);
}

}  // namespace lmtpd
