#include "lookup/explanation.h"

#include <fmt/format.h>
#include <gmock/gmock.h>

#include "lmtpd/base/control_protocol.h"
#include "tests/lookup/resolving.h"

namespace lmtpd::lookup {
namespace {

class Explaining : public Resolving, public Explainer::Client {
 protected:
  using Resolving::on_outcome;
  void on_outcome(std::uint64_t, const Explanation&) override { ADD_FAILURE() << "told later"; }

  std::vector<std::string> explain(const std::string& recipient) {
    Explainer explainer(settings_);
    const auto explanation = explainer.explain(*Address::parse(recipient), *this, 0);
    return explanation ? explanation->lines : std::vector<std::string>();
  }
};

TEST_F(Explaining, AnAliasOfManyRowsFitsALineOfTheControlSocket) {
  for (const std::size_t length : {20U, 900U, 2000U}) {
    const std::string name = fmt::format("team{}@d.org", length);
    const std::string target = std::string(length, 'x') + "@d.org";
    for (int i = 0; i < 500; ++i) alias_.add(name, fmt::format("{}.{}", i, target));
    const std::vector<std::string> lines = explain(name);
    ASSERT_GE(lines.size(), 3U);
    EXPECT_EQ(lines[0], "aliases of <" + name + ">");
    const std::string begin = "  fake:alias: <" + name + ">: \"0.xxx";
    EXPECT_THAT(lines[2], testing::StartsWith(begin));
    const auto shown = std::count(lines[2].begin(), lines[2].end(), '"') / 2;
    EXPECT_THAT(lines[2], testing::EndsWith(fmt::format("\" and {} more (database)", 500 - shown)));
    EXPECT_GT(lines[2].size(), 7U * 1024);
    for (const std::string& line : lines) EXPECT_LT(line.size(), kLongestControlLine - 4096);
  }
}

TEST_F(Explaining, AFewRowsAreAllShown) {
  alias_.add("team@d.org", "user@d.org");
  alias_.add("team@d.org", "user2@d.org");
  EXPECT_EQ(explain("team@d.org").at(2),
            "  fake:alias: <team@d.org>: \"user@d.org\", \"user2@d.org\" (database)");
}

}  // namespace
}  // namespace lmtpd::lookup
