#include "lookup/check/listing_query.h"

#include <gtest/gtest.h>

namespace lmtpd::lookup {
namespace {

std::string listed(std::string_view query) { return listing_query(query).value_or("none"); }

TEST(ListingQuery, IsMadeOfAQueryForOneKey) {
  EXPECT_EQ(listed("SELECT mailbox FROM postfix_mailboxes WHERE userid='%s' "),
            "SELECT userid, mailbox FROM postfix_mailboxes WHERE userid IS NOT NULL ");
  EXPECT_EQ(listed("select goto from alias where address = '%s' and active = true"),
            "SELECT address, goto from alias where address IS NOT NULL and active = true");
  EXPECT_EQ(listed("SELECT f.forwarding FROM f, d WHERE f.address='%S' AND f.domain=d.domain"),
            "SELECT f.address, f.forwarding FROM f, d WHERE f.address IS NOT NULL AND "
            "f.domain=d.domain");
  EXPECT_EQ(listed("SELECT a, b FROM t WHERE x LIKE 'a%%' AND k='%s'"),
            "SELECT k, a, b FROM t WHERE x LIKE 'a%' AND k IS NOT NULL");
}

TEST(ListingQuery, IsNotGuessed) {
  for (const char* query :
       {"SELECT a FROM t WHERE k='%u@%d'", "SELECT a FROM t WHERE k='x%s'", "SELECT fn('%s')",
        "SELECT a FROM t WHERE lower(k)='%s'", "SELECT a FROM t WHERE k='%s' LIMIT 1",
        "SELECT a FROM t WHERE k='%s' UNION SELECT b FROM u", "SELECT a FROM t WHERE k=%s",
        "SELECT a FROM t WHERE k='%s' OR l='%s'", "SELECT DISTINCT a FROM t WHERE k='%s'",
        "SELECT a FROM t", "SELECT a FROM t WHERE k='%s'; DELETE FROM t", ""}) {
    EXPECT_FALSE(listing_query(query)) << query;
  }
}

}  // namespace
}  // namespace lmtpd::lookup
