#include "lmtpd/master/command_line.h"

#include <gtest/gtest.h>

#include <vector>

namespace lmtpd::master {
namespace {

Result<CommandLine> parse(std::vector<const char*> arguments) {
  return parse_command_line(arguments);
}

TEST(CommandLine, Defaults) {
  const Result<CommandLine> line = parse({});
  ASSERT_TRUE(line);
  EXPECT_EQ(line->mode, CommandLine::Mode::run);
  EXPECT_EQ(line->file, "/etc/lmtpd/lmtpd.cf");
}

TEST(CommandLine, FileAndMode) {
  EXPECT_EQ(parse({"-c", "/a/b.cf", "-t"})->file, "/a/b.cf");
  EXPECT_EQ(parse({"-t", "-c", "/a/b.cf"})->mode, CommandLine::Mode::check);
  EXPECT_EQ(parse({"-n"})->mode, CommandLine::Mode::changed);
  EXPECT_EQ(parse({"-c", "b.cf"})->file.front(), '/');
  EXPECT_EQ(parse({"-h"})->mode, CommandLine::Mode::help);
  EXPECT_EQ(parse({"--help"})->mode, CommandLine::Mode::help);
  EXPECT_EQ(parse({"--version"})->mode, CommandLine::Mode::version);
}

TEST(CommandLine, WhatItDoesNotKnow) {
  EXPECT_FALSE(parse({"-x"}));
  EXPECT_FALSE(parse({"-c"}));
  EXPECT_FALSE(parse({"file.cf"}));
}

}  // namespace
}  // namespace lmtpd::master
