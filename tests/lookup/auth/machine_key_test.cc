#include "lookup/auth/machine_key.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <string>

namespace lmtpd::lookup {
namespace {

class MachineKey : public testing::Test {
 protected:
  MachineKey() { EXPECT_NE(::mkdtemp(folder_.data()), nullptr); }
  ~MachineKey() override { std::filesystem::remove_all(folder_); }

  std::optional<Key> key_of(std::string_view text) {
    std::ofstream(folder_ + "/id") << text;
    return machine_key(folder_ + "/id");
  }

  std::string folder_ = testing::TempDir() + "machine-XXXXXX";
};

TEST_F(MachineKey, IsTheSameEachTimeAndAnothersIsAnother) {
  const auto key = key_of("0123456789abcdef0123456789abcdef\n");
  ASSERT_TRUE(key);
  EXPECT_EQ(key_of("0123456789abcdef0123456789abcdef"), key);
  const auto other = key_of("0123456789abcdef0123456789abcdee\n");
  ASSERT_TRUE(other);
  EXPECT_NE(other, key);
}

TEST_F(MachineKey, IsNoneWithoutAnId) {
  EXPECT_FALSE(machine_key(folder_ + "/none"));
  EXPECT_FALSE(machine_key(folder_));
  for (const char* text :
       {"", "\n", "uninitialized\n", "0123456789abcdef0123456789abcde\n",
        "0123456789abcdef0123456789abcdef0\n", "0123456789abcdef0123456789abcdeg\n"}) {
    EXPECT_FALSE(key_of(text)) << text;
  }
}

}  // namespace
}  // namespace lmtpd::lookup
