#include "lmtpd/base/config/expand.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace lmtpd {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// $a is "va", $e is empty, $n is 7; nothing else is defined.
std::string expanded(std::string_view text) {
  const auto value =
      expand(text, [](std::string_view name) -> Expanded<std::optional<std::string>> {
        if (name == "a") return "va";
        if (name == "e") return "";
        if (name == "n") return "7";
        if (name == "bad") return tl::unexpected(std::string("bad is bad"));
        return std::nullopt;
      });
  return value ? *value : "ERROR " + value.error();
}

struct Case {
  const char* text;
  const char* value;
};

class Good : public testing::TestWithParam<Case> {};
TEST_P(Good, ExpandsAsPostfixDoes) { EXPECT_EQ(expanded(GetParam().text), GetParam().value); }
INSTANTIATE_TEST_SUITE_P(
    Expand, Good,
    testing::Values(Case{"", ""}, Case{"plain {text}", "plain {text}"}, Case{"$a", "va"},
                    Case{"x${a}y", "xvay"}, Case{"$(a)", "va"}, Case{"${ a }", "va"},
                    Case{"$a.b", "va.b"}, Case{"$$a", "$a"}, Case{"$$$a", "$va"},
                    Case{"[$e]", "[]"}, Case{"${a?yes}${e?no}", "yes"},
                    Case{"${a:no}${e:yes}", "yes"}, Case{"${a?x:y}", "x:y"},
                    Case{"${e:x?y}", "x?y"}, Case{"${a?{x}:{y}}", "x"}, Case{"${e?{x}:{y}}", "y"},
                    Case{"${a ? { x } : {y}}", " x "}, Case{"${e?{x}:y z}", "y z"},
                    Case{"${e?{x}}", ""}, Case{"${a:{x}}", ""}, Case{"$(a?(b))", "(b)"},
                    Case{"${a?$n${a}}", "7va"}, Case{"${nosuch?x}", ""}, Case{"${nosuch:x}", "x"},
                    Case{"${e?$nosuch}", ""}, Case{"${a?{b{c}d}:{}}", "b{c}d"}));
INSTANTIATE_TEST_SUITE_P(
    Compare, Good,
    testing::Values(
        Case{"${{$a} == {va} ? {x} : {y}}", "x"}, Case{"${{$a}!={va}?{x}:{y}}", "y"},
        Case{"${{$a}=={va}}", "true"}, Case{"${{$a}=={vb}}", ""}, Case{"${ {a}=={b} }", ""},
        Case{"${{3} < {20}}", "true"}, Case{"${{3x} < {20}}", ""}, Case{"${{007} == {7}}", "true"},
        Case{"${{$n} >= {7}}", "true"}, Case{"${{$n} > {7}}", ""},
        Case{"${{99999999999999999999} > {2}}", "true"}, Case{"${{} == {}}", "true"},
        Case{"${{0} == {00}}", "true"}, Case{"${{} == {0}}", ""}, Case{"${{ va } == {va}}", ""},
        Case{"${{b} <= {a} : {n}}", "n"}, Case{"${{3.5} <level {3.6} ? {l} : {g}}", "l"},
        Case{"${{3.10} <=level {3.6} ? {l} : {g}}", "g"}, Case{"${{1} ==level {1.0}}", "true"}));

class Bad : public testing::TestWithParam<Case> {};
TEST_P(Bad, SaysWhatIsWrong) {
  EXPECT_THAT(expanded(GetParam().text), HasSubstr("ERROR"));
  EXPECT_THAT(expanded(GetParam().text), HasSubstr(GetParam().value));
}
INSTANTIATE_TEST_SUITE_P(
    Expand, Bad,
    testing::Values(Case{"$", "names no parameter"}, Case{"$-", "names no parameter"},
                    Case{"${}", "names no parameter"}, Case{"${ }", "no reference"},
                    Case{"${a", "not closed"}, Case{"$(a", "not closed"}, Case{"${a-b}", "\"-b\""},
                    Case{"${a?{x}z}", "\"z\""}, Case{"${a?{x}:{y}z}", "\"z\""},
                    Case{"${a?{x}?{y}}", "expected"}, Case{"$nosuch", "$nosuch is not defined"},
                    Case{"${nosuch}", "$nosuch is not defined"}, Case{"$bad", "bad is bad"},
                    Case{"${{a} =~ {b}}", "comparison"}, Case{"${{a} == b}", "comparison"},
                    Case{"${{a} {b}}", "no comparison"}, Case{"${{a}}", "comparison"},
                    Case{"${{a} <level {1}}", "compatibility level"},
                    Case{"${{} <level {1}}", "compatibility level"},
                    Case{"${{1.2.3.4} <level {1}}", "compatibility level"}));

TEST(Expand, BoundsDepthAndLength) {
  std::string deep;
  for (int i = 0; i < 10'000; ++i) deep += "${a?{";
  for (int i = 0; i < 10'000; ++i) deep += "}}";
  EXPECT_EQ(expanded(deep), "ERROR nested too deeply");
  std::string wide;
  for (std::size_t i = 0; i <= kLongestValue / 2; ++i) wide += "$a";
  EXPECT_THAT(expanded(wide), HasSubstr("octets when expanded"));
}

TEST(Expand, ReferencesNamesOfEveryBranch) {
  const auto names = references("$a ${b?{$c}:{$d}} ${{$e} == {x} ? $f}$$g");
  ASSERT_TRUE(names);
  EXPECT_THAT(*names, ElementsAre("a", "b", "c", "d", "e", "f"));
  EXPECT_FALSE(references("${a"));
}

}  // namespace
}  // namespace lmtpd
