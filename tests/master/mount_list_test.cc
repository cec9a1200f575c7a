#include "lmtpd/master/mount_list.h"

#include <fmt/format.h>
#include <gmock/gmock.h>

#include <string>

namespace lmtpd::master {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::Field;
using ::testing::IsEmpty;
using ::testing::Not;

constexpr std::string_view kList =
    "21 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n"
    "22 21 8:2 / /home rw - xfs /dev/sda2 rw\n"
    "23 22 8:3 / /home/big.org rw shared:2 master:1 - btrfs /dev/sdb rw\n"
    "24 22 8:4 / /home/with\\040blank rw - ext4 /dev/sdc rw\n"
    "25 22 0:5 / /home/nfs rw - nfs4 host:/mail rw\n"
    "26 21 8:6 / /homes rw - ext4 /dev/sdd rw\n"
    "27 22 0:7 / /home/big.org rw - tmpfs tmpfs rw\n"
    "not a line\n";

TEST(MountList, IsTheBaseAndWhatIsMountedBelow) {
  EXPECT_THAT(mounts_below(kList, "/home"),
              ElementsAre(MountPoint{"/home", "xfs"}, MountPoint{"/home/big.org", "tmpfs"},
                          MountPoint{"/home/nfs", "nfs4"}, MountPoint{"/home/with blank", "ext4"}));
}

TEST(MountList, TakesTheTypeOfABaseThatIsNoMountPointFromWhatItLiesOn) {
  EXPECT_THAT(mounts_below(kList, "/var/mail"), ElementsAre(MountPoint{"/var/mail", "ext4"}));
  EXPECT_THAT(mounts_below(kList, "/home/a/b"), ElementsAre(MountPoint{"/home/a/b", "xfs"}));
}

TEST(MountList, TheRootMayBeTheBase) {
  EXPECT_EQ(mounts_below(kList, "/").size(), 6U);
  EXPECT_EQ(mounts_below(kList, "/")[0], (MountPoint{"/", "ext4"}));
}

TEST(MountList, WhatIsMountedOverAnAncestorHidesWhatWasBelow) {
  for (const char* path : {"/home", "/home/big.org"}) {
    const std::string list =
        "22 21 8:2 / /home rw - xfs /dev/sda2 rw\n"
        "23 22 8:3 / /home/big.org/mail rw - xfs /dev/sdb rw\n" +
        fmt::format("24 22 0:5 / {} rw - nfs4 host:/mail rw\n", path);
    const auto mounts = mounts_below(list, "/home");
    EXPECT_THAT(mounts, Contains(MountPoint{path, "nfs4"}));
    EXPECT_THAT(mounts, Not(Contains(Field(&MountPoint::path, "/home/big.org/mail"))));
  }
}

TEST(MountList, IsEmptyWithoutAList) { EXPECT_THAT(mounts_below("", "/home"), IsEmpty()); }

TEST(MountList, KnowsTheKernelsWhoseSyncfsTellsErrors) {
  for (const char* release : {"5.17.0", "5.18.0-1-amd64", "6.1.0-13-amd64", "10.0"}) {
    EXPECT_TRUE(reports_sync_errors(release)) << release;
  }
  for (const char* release : {"5.16.9", "5.4.0", "4.19.0", "5.", "", "x"}) {
    EXPECT_FALSE(reports_sync_errors(release)) << release;
  }
}

}  // namespace
}  // namespace lmtpd::master
