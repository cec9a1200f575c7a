#include "lmtpd/base/ticket.h"

#include <gtest/gtest.h>

namespace lmtpd {
namespace {

using std::chrono::seconds;

class Tickets : public testing::Test {
 protected:
  static constexpr MailboxOwner kOwner{Uid(1001), Gid(1002)};
  const Key key_ = make_ticket_key();
  const Clock::time_point now_ = Clock::now();
  const Ticket ticket_{kOwner, *MailboxPath::parse("foo.org/mails/user/"), now_ + seconds(60)};
  const std::string sealed_ = seal_ticket(key_, ticket_);

  [[nodiscard]] std::optional<Ticket> as_worker(std::string_view sealed,
                                                Clock::time_point now) const {
    return open_ticket_as_worker(derive_worker_key(key_, kOwner), kOwner, sealed, now);
  }
};

TEST_F(Tickets, OpenForTheirWorkerAndTheMaker) {
  for (const std::optional<Ticket>& opened :
       {as_worker(sealed_, now_), open_ticket_as_maker(key_, sealed_, now_),
        read_ticket(sealed_)}) {
    ASSERT_TRUE(opened);
    EXPECT_EQ(opened->owner, kOwner);
    EXPECT_EQ(opened->path, ticket_.path);
    EXPECT_EQ(opened->expiry, ticket_.expiry);
  }
  EXPECT_EQ(read_ticket_owner(sealed_), kOwner);
}

TEST_F(Tickets, EndWithTheirLife) {
  EXPECT_TRUE(as_worker(sealed_, ticket_.expiry - std::chrono::nanoseconds(1)));
  EXPECT_FALSE(as_worker(sealed_, ticket_.expiry));
  EXPECT_FALSE(open_ticket_as_maker(key_, sealed_, ticket_.expiry));
}

TEST_F(Tickets, CannotBeAlteredInAnyBit) {
  for (std::size_t octet = 0; octet < sealed_.size(); ++octet) {
    for (int bit = 0; bit < 8; ++bit) {
      std::string altered = sealed_;
      altered[octet] = static_cast<char>(altered[octet] ^ (1 << bit));
      EXPECT_FALSE(open_ticket_as_maker(key_, altered, now_)) << octet;
      // The last tag is not the worker's business.
      if (octet < sealed_.size() - 16) {
        EXPECT_FALSE(as_worker(altered, now_)) << octet;
      }
    }
  }
}

TEST_F(Tickets, CannotBeCutOrExtended) {
  for (std::size_t length = 0; length < sealed_.size(); ++length) {
    EXPECT_FALSE(as_worker(sealed_.substr(0, length), now_)) << length;
    EXPECT_FALSE(open_ticket_as_maker(key_, sealed_.substr(0, length), now_)) << length;
  }
  EXPECT_FALSE(as_worker(sealed_ + 'x', now_));
}

TEST_F(Tickets, OfAnotherOwnerOrKeyAreRefused) {
  const MailboxOwner other{Uid(1001), Gid(1003)};
  EXPECT_FALSE(open_ticket_as_worker(derive_worker_key(key_, other), other, sealed_, now_));
  EXPECT_FALSE(open_ticket_as_worker(derive_worker_key(key_, other), kOwner, sealed_, now_));
  EXPECT_FALSE(open_ticket_as_worker(derive_worker_key(key_, kOwner), other, sealed_, now_));
  EXPECT_FALSE(open_ticket_as_maker(make_ticket_key(), sealed_, now_));
}

TEST_F(Tickets, OfAWorkersOwnMakingDoNotReachTheMaker) {
  // All that a worker holds is its derived key.
  const std::string forged = seal_ticket(derive_worker_key(key_, kOwner), ticket_);
  EXPECT_FALSE(open_ticket_as_maker(key_, forged, now_));
}

TEST_F(Tickets, OfOneMailboxDiffer) { EXPECT_NE(sealed_, seal_ticket(key_, ticket_)); }

}  // namespace
}  // namespace lmtpd
