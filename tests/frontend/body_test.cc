#include "lmtpd/frontend/body.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include "lmtpd/base/messages.h"
#include "tests/base/allocated.h"

namespace lmtpd::frontend {
namespace {

TEST(Body, StaysInlineUpToTheBound) {
  Body body;
  ASSERT_TRUE(body.append(std::string(kInlineBody - 1, 'a')));
  ASSERT_TRUE(body.append("b"));
  ASSERT_TRUE(body.seal());
  EXPECT_TRUE(body.is_inline());
  EXPECT_EQ(body.size(), kInlineBody);
  EXPECT_EQ(body.inline_octets(), std::string(kInlineBody - 1, 'a') + 'b');
  EXPECT_FALSE(body.duplicate_file());
}

TEST(Body, GoesIntoASealedFileBeyond) {
  Body body;
  const std::string first(kInlineBody, 'a');
  ASSERT_TRUE(body.append(first));
  ASSERT_TRUE(body.append("bc"));
  ASSERT_TRUE(body.append("d"));
  ASSERT_TRUE(body.seal());
  EXPECT_FALSE(body.is_inline());
  EXPECT_TRUE(body.inline_octets().empty());
  EXPECT_EQ(body.size(), kInlineBody + 3);

  const UniqueFd file = body.duplicate_file();
  ASSERT_TRUE(file);
  std::string content(kInlineBody + 10, '\0');
  const ssize_t size = ::pread(file.get(), content.data(), content.size(), 0);
  content.resize(static_cast<std::size_t>(size));
  EXPECT_EQ(content, first + "bcd");
  EXPECT_EQ(::fcntl(file.get(), F_GET_SEALS),
            F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE);
  EXPECT_LT(::write(file.get(), "x", 1), 0);
}

#ifndef LMTPD_SANITIZED  // another allocator
TEST(Body, TakesNoMoreThanIsBookedForIt) {
  // What the allocator keeps at hand counts as taken.
  constexpr std::size_t kMore = 8 * 1024;
  const std::size_t before = allocated();
  Body body;
  for (int i = 0; i < 65; ++i) ASSERT_TRUE(body.append(std::string(1000, 'a')));
  ASSERT_TRUE(body.is_inline());
  EXPECT_LE(allocated() - before, kInlineBody + kMore);
  ASSERT_TRUE(body.append(std::string(1000, 'a')));
  ASSERT_FALSE(body.is_inline());
  EXPECT_LE(allocated() - before, kMore);
}

TEST(Body, TakesNoMoreThanItIsOnceItIsComplete) {
  constexpr std::size_t kMore = 8 * 1024;
  const std::size_t before = allocated();
  Body body;
  for (int i = 0; i < 12; ++i) ASSERT_TRUE(body.append(std::string(1000, 'a')));
  ASSERT_TRUE(body.seal());
  EXPECT_EQ(body.inline_octets(), std::string(12'000, 'a'));
  EXPECT_LE(allocated() - before, 12'000 + kMore);
}
#endif

#ifndef LMTPD_SANITIZED  // UBSan's own checks need a descriptor
TEST(Body, SaysNoSpaceWithoutADescriptor) {
  rlimit limit{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &limit), 0);
  const rlimit none{0, limit.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
  Body body;
  const Result<void> result = body.append(std::string(kInlineBody + 1, 'a'));
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &limit), 0);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().reason, Reason::no_space);
}
#endif

}  // namespace
}  // namespace lmtpd::frontend
