// docs/configuration.md and contrib/lmtpd.cf say what parameter_table.h says, docs/status.md what
// counter.h says.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "lmtpd/base/config/parameter_table.h"
#include "lmtpd/base/config/settings.h"
#include "lmtpd/base/counter.h"
#include "tests/config/memory_files.h"

namespace lmtpd {
namespace {

using testing::Contains;

std::string read(const std::string& path) {
  std::ifstream file(std::string(LMTPD_SOURCE_DIR) + "/" + path);
  std::stringstream text;
  text << file.rdbuf();
  EXPECT_FALSE(text.str().empty()) << path;
  return text.str();
}

std::vector<std::string> split_lines(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

std::string setting(const ParameterInfo& row) {
  return std::string(row.name) + " =" + (row.default_text.empty() ? "" : " ") +
         std::string(row.default_text);
}

TEST(Documents, TheReferenceHasEachParameterWithDefaultDescriptionAndOwner) {
  const std::vector<std::string> lines = split_lines(read("docs/configuration.md"));
  std::set<std::string> headings;
  for (const ParameterInfo& row : kParameters) {
    const std::string heading = "### `" + setting(row) + "`";
    headings.insert(heading);
    const auto found = std::find(lines.begin(), lines.end(), heading);
    ASSERT_LT(found + 2, lines.end()) << "docs/configuration.md lacks: " << heading;
    EXPECT_EQ(*(found + 2),
              std::string(row.description) + (row.owner == Owner::postfix ? " *Postfix's.*" : ""))
        << heading;
  }
  for (const std::string& line : lines) {
    EXPECT_TRUE(!line.starts_with("### ") || headings.contains(line)) << "no parameter: " << line;
  }
}

TEST(Documents, TheSampleIsAccepted) {
  const auto parameters =
      test::load({{test::kOwnFile, read("contrib/lmtpd.cf")}, {test::kMainFile, test::kMinimum}});
  ASSERT_TRUE(parameters) << parameters.error().text;
  EXPECT_TRUE(parameters->warnings().empty());
  const auto settings = Settings::parse(*parameters);
  EXPECT_TRUE(settings) << settings.error().text;
}

// What is commented out is a default, or an example that is accepted.
TEST(Documents, TheSamplesCommentedLinesAreAccepted) {
  const std::vector<std::string> lines = split_lines(read("contrib/lmtpd.cf"));
  std::set<std::string> once;
  for (const std::string& line : lines) {
    if (!line.starts_with('#') || line.find(" = ") == std::string::npos || line[1] == ' ') continue;
    const std::string own = line.substr(1);
    once.insert(own);
    const auto parameters = test::load_own(own + "\n" + [&] {
      // Each needed parameter that the line itself does not set.
      std::string rest;
      for (const std::string& needed : split_lines(test::kMinimum)) {
        if (needed.substr(0, needed.find(' ')) != own.substr(0, own.find(' '))) {
          rest += needed + "\n";
        }
      }
      return rest;
    }());
    ASSERT_TRUE(parameters) << line << ": " << parameters.error().text;
    const auto settings = Settings::parse(*parameters);
    EXPECT_TRUE(settings) << line << ": " << settings.error().text;
  }
  for (const ParameterInfo& row : kParameters) {
    const bool shown = std::any_of(once.begin(), once.end(), [&](const std::string& own) {
      return own.starts_with(std::string(row.name) + " =");
    });
    // A default that is empty or refers to others is shown by an example.
    if (shown && !row.default_text.empty() && !row.default_text.starts_with('$')) {
      EXPECT_THAT(once, Contains(setting(row))) << "the sample shows another default";
    }
  }
}

// Each counter is a row of its chapter: | `name` | meaning |
TEST(Documents, EachCounterHasItsMeaning) {
  std::multiset<std::string> documented;
  bool in_chapter = false;
  for (const std::string& line : split_lines(read("docs/status.md"))) {
    if (line.starts_with("## ")) in_chapter = line == "## Frontends" || line == "## Committer";
    if (in_chapter && line.starts_with("| `")) {
      documented.insert(line.substr(3, line.find('`', 3) - 3));
    }
  }
  std::multiset<std::string> counted;
  for (const CounterName& row : kCounterNames) counted.emplace(row.name);
  EXPECT_EQ(documented, counted);
}

}  // namespace
}  // namespace lmtpd
