#include "lmtpd/base/enhanced_code.h"

#include <gtest/gtest.h>

namespace lmtpd {
namespace {

TEST(EnhancedCode, IsTakenOffTheWordsBehindIt) {
  struct Case {
    std::string_view words, code, rest;
  };
  for (const Case& each :
       {Case{"5.1.1 gone away", "5.1.1", "gone away"}, Case{"4.2.2", "4.2.2", ""},
        Case{"5.0.0 \t gone", "5.0.0", "gone"}, Case{"5.123.10 x", "5.123.10", "x"},
        Case{"4.0.0 4.1.1 x", "4.0.0", "4.1.1 x"}}) {
    std::string_view rest = each.words;
    EXPECT_EQ(take_enhanced_code(rest), each.code) << each.words;
    EXPECT_EQ(rest, each.rest);
  }
}

TEST(EnhancedCode, IsNoOther) {
  for (const std::string_view words :
       {"",           "gone",     "5",        "5.",        "5.1",      "5.1.",     "5.1. x",
        "5..1 x",     ".1.1 x",   "5.1.1x",   "5.1.1.1 x", "5.01.1 x", "5.1.00 x", "5.1234.1 x",
        "5.1.1234 x", "55.1.1 x", " 5.1.1 x", "2.1.5 ok",  "6.1.1 x",  "5 1 1 x"}) {
    std::string_view rest = words;
    EXPECT_EQ(take_enhanced_code(rest), "") << words;
    EXPECT_EQ(rest, words);
  }
}

}  // namespace
}  // namespace lmtpd
