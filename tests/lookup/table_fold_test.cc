#include <gtest/gtest.h>

#include "lookup/fold.h"

namespace lmtpd::lookup {
namespace {

struct Folding {
  std::string_view spelt;
  std::string_view folded;
};

class Fold : public testing::TestWithParam<Folding> {};

TEST_P(Fold, IsWhatPostfixAsksFor) { EXPECT_EQ(fold(GetParam().spelt), GetParam().folded); }

INSTANTIATE_TEST_SUITE_P(Keys, Fold,
                         testing::Values(Folding{"", ""},  //
                                         Folding{"User@Domain.ORG", "user@domain.org"},
                                         Folding{"@[`{_^AZ", "@[`{_^az"},  //
                                         Folding{"MÜLLER@x", "müller@x"},
                                         Folding{"Straße@X.de", "strasse@x.de"},
                                         Folding{"ΣΊΣΥΦΟΣ", "σίσυφοσ"},  //
                                         Folding{"ﬁn", "fin"},           //
                                         Folding{"İ", "i̇"},              //
                                         Folding{"日本@例え", "日本@例え"}));

TEST(FoldTwice, ChangesNothing) {
  for (const auto* text : {"ﬃ", "ẞ", "ŉ", "ΐ", "Ⅷ", "Ⓐ"}) EXPECT_EQ(fold(fold(text)), fold(text));
}

}  // namespace
}  // namespace lmtpd::lookup
