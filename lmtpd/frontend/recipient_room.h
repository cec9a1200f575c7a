// lmtpd/frontend/recipient_room.h -- the bound on what transactions hold of their recipients: their
// addresses, and the mailboxes that lookup finds for them.
//
// That comes with RCPT, before anything of the message is booked in Spool, and lasts as long as the
// transaction. A client may hold more only while what it would hold then is no more than what would
// be left: one alone has half of the room, and whoever comes behind others has half of what they
// leave. So nobody, however many connections he has, takes it all. As every further one who takes
// what he can leaves half as much, the first few octets of each client (kAlways) are beside that: a
// message to a few recipients does not depend on what others hold. And where all hold no more than
// that together, anything has room, however long a list is.
#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>

namespace lmtpd::frontend {

class RecipientRoom {
 public:
  // What is held is at most `octets`, and kAlways for each client; or what was taken when there was
  // next to nothing.
  explicit RecipientRoom(std::uint64_t octets) : octets_(octets) {}
  RecipientRoom(const RecipientRoom&) = delete;
  RecipientRoom& operator=(const RecipientRoom&) = delete;

  [[nodiscard]] std::uint64_t held() const { return held_; }

  // Octets of a few recipients. With connection_limit clients, each of a network of its own, that
  // is still less than what their connections take.
  static constexpr std::uint64_t kAlways = 4096;
  // Octets of one mailbox, and with it its recipient, whose addresses are not unusually long.
  static constexpr std::uint64_t kMailbox = 512;

 private:
  friend class RecipientHold;
  [[nodiscard]] bool take(const std::string& client, std::uint64_t octets);
  void give_back(const std::string& client, std::uint64_t octets);

  const std::uint64_t octets_;
  std::uint64_t held_ = 0;
  std::unordered_map<std::string, std::uint64_t> by_client_;  // no zeros
};

// What the transaction of one connection holds.
class RecipientHold {
 public:
  // `client` as ClientPlace has it. Both outlive this.
  RecipientHold(RecipientRoom& room, const std::string& client) : room_(room), client_(client) {}
  ~RecipientHold() { give_back(octets_); }
  RecipientHold(const RecipientHold&) = delete;
  RecipientHold& operator=(const RecipientHold&) = delete;

  // False: there is no room for so much more, and nothing has changed.
  [[nodiscard]] bool add(std::uint64_t octets);
  // Of what it has.
  void give_back(std::uint64_t octets);

 private:
  RecipientRoom& room_;
  const std::string& client_;
  std::uint64_t octets_ = 0;
};

}  // namespace lmtpd::frontend
