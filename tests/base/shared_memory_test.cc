#include "lmtpd/base/shared_memory.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <string>

namespace lmtpd {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

struct Number {
  static constexpr const char* kName = "test-number";
  std::atomic<std::uint64_t> value;
};
struct TwoNumbers {
  static constexpr const char* kName = "test-numbers";
  std::atomic<std::uint64_t> first;
  std::atomic<std::uint64_t> second;
};

class SharedMemoryTest : public ::testing::Test {
 protected:
  [[nodiscard]] UniqueFd readable() const {
    return UniqueFd(
        ::open(fmt::format("/proc/self/fd/{}", memory_.get()).c_str(), O_RDONLY | O_CLOEXEC));
  }
  template <class Shared>
  static std::string error(const UniqueFd& memory) {
    const auto mapped = map_shared_memory<Shared>(memory);
    return mapped ? "no error" : mapped.error().text;
  }

  const UniqueFd memory_ = *make_shared_memory<Number>();
};

TEST_F(SharedMemoryTest, IsZeroAndThenWhatSomebodyWrote) {
  const auto writer = map_shared_memory<Number>(memory_).value();
  const auto reader = map_shared_memory<const Number>(readable()).value();
  EXPECT_EQ(reader->value, 0U);
  writer->value = 7;
  EXPECT_EQ(reader->value, 7U);
}

TEST_F(SharedMemoryTest, WhoMayReadCannotWrite) {
  EXPECT_THAT(error<Number>(readable()), HasSubstr("test-number: Permission denied"));
  EXPECT_EQ(error<const Number>(readable()), "no error");
}

TEST_F(SharedMemoryTest, OnlyItsMakersUserCanOpenItAnew) {
  struct stat status{};
  ASSERT_EQ(::fstat(memory_.get(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 0600U);
}

// Whoever has mapped it would fault where it is not.
TEST_F(SharedMemoryTest, NobodyCanCutItOffNorSealItFurther) {
  for (const off_t size : {0, 4096}) {
    EXPECT_EQ(::ftruncate(memory_.get(), size), -1);
    EXPECT_EQ(errno, EPERM);
  }
  EXPECT_EQ(::fcntl(memory_.get(), F_ADD_SEALS, F_SEAL_WRITE), -1);
  EXPECT_EQ(errno, EPERM);
}

TEST_F(SharedMemoryTest, HasTheSizeOfItsType) {
  EXPECT_EQ(error<TwoNumbers>(memory_), "test-numbers has 8 octets, not 16");
}

TEST_F(SharedMemoryTest, WhatCouldBeCutOffIsNotMapped) {
  const UniqueFd open(::memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  ASSERT_EQ(::ftruncate(open.get(), sizeof(Number)), 0);
  EXPECT_THAT(error<const Number>(open), StartsWith("test-number has seals"));
  ASSERT_EQ(::fcntl(open.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW), 0);
  EXPECT_THAT(error<const Number>(open), StartsWith("test-number has seals"));
  ASSERT_EQ(::fcntl(open.get(), F_ADD_SEALS, F_SEAL_SEAL), 0);
  EXPECT_EQ(error<const Number>(open), "no error");
}

TEST_F(SharedMemoryTest, IsNoFileAndNotNothing) {
  EXPECT_THAT(error<Number>(UniqueFd(::open("/dev/null", O_RDWR | O_CLOEXEC))),
              HasSubstr("test-number: Invalid argument"));
  EXPECT_THAT(error<const Number>(UniqueFd()), HasSubstr("test-number: Bad file descriptor"));
}

}  // namespace
}  // namespace lmtpd
