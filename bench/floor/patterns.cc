#include "bench/floor/patterns.h"

#include <algorithm>
#include <array>

namespace lmtpd::floor {
namespace {

constexpr std::array kPatterns{
    Pattern{"serial-thread", true,
            "a thread for each message: write, fsync, link, fsync new/, unlink", run_serial},
    Pattern{"group", true,
            "a thread for each uid: write all and start the write-out, fsync each, link all, fsync "
            "each new/, unlink all",
            run_group},
    Pattern{"group-syncfs", true, "the same with one syncfs in place of an fsync of each new/",
            run_group_syncfs},
    Pattern{"syncfs", true,
            "one syncfs after the other for all uids: it serves what was written and what was "
            "renamed before it, then the canary; the next are written meanwhile",
            run_committer},
    Pattern{"fsync-syncfs", true,
            "a thread for each uid writes, fsyncs and renames a group; one syncfs after the other "
            "serves the names of all, then the canary",
            run_fsync_committer},
    Pattern{"unsafe-no-directory-sync", false, "a thread for each message: write, fsync, rename",
            run_serial_without_directory_sync},
    Pattern{"unsafe-no-sync", false, "a thread for each message: write, rename",
            run_serial_without_sync},
};

}  // namespace

std::span<const Pattern> patterns() { return kPatterns; }

const Pattern* find_pattern(std::string_view name) {
  const auto* found = std::find_if(kPatterns.begin(), kPatterns.end(),
                                   [name](const Pattern& pattern) { return pattern.name == name; });
  return found == kPatterns.end() ? nullptr : found;
}

}  // namespace lmtpd::floor
