// maildir/disk_calls.h -- the system calls whose order and outcome make the promise of delivery.h.
//
// A table, so that a test can record their order and let one of them fail. Each member behaves as
// its manual page says: a negative result and errno on failure.
#pragma once

#include <fcntl.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

namespace lmtpd::maildir {

struct DiskCalls {
  ssize_t (*writev)(int fd, const iovec* parts, int count) = ::writev;
  int (*sync_file_range)(int fd, off64_t offset, off64_t size, unsigned flags) = ::sync_file_range;
  int (*fsync)(int fd) = ::fsync;
  int (*syncfs)(int fd) = ::syncfs;
  int (*linkat)(int old_dir, const char* old_name, int new_dir, const char* new_name,
                int flags) = ::linkat;
  int (*unlinkat)(int dir, const char* name, int flags) = ::unlinkat;
  int (*clock_gettime)(clockid_t clock, timespec* now) = ::clock_gettime;
};

}  // namespace lmtpd::maildir
