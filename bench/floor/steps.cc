#include "bench/floor/steps.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include <algorithm>
#include <vector>

#include "bench/floor/must.h"

namespace lmtpd::floor {

void write_to_tmp(Message& message, const Trial& trial) {
  message.file = UniqueFd(must(::openat(message.maildir->tmp.get(), message.name.c_str(),
                                        O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600),
                               "open in tmp/"));
  const auto octets = trial.octets();
  const int written =
      must(::write(message.file.get(), octets.data(), octets.size()), "write in tmp/");
  if (static_cast<std::size_t>(written) != octets.size()) must(-1, "short write in tmp/");
}

void start_write_out(const Message& message) {
  must(::sync_file_range(message.file.get(), 0, 0, SYNC_FILE_RANGE_WRITE), "sync_file_range");
}

void sync_file(const Message& message) { must(::fsync(message.file.get()), "fsync of a file"); }

void link_to_new(Message& message) {
  message.file.reset();
  must(::linkat(message.maildir->tmp.get(), message.name.c_str(), message.maildir->new_dir.get(),
                message.name.c_str(), 0),
       "link into new/");
}

void rename_to_new(Message& message) {
  message.file.reset();
  must(::renameat2(message.maildir->tmp.get(), message.name.c_str(), message.maildir->new_dir.get(),
                   message.name.c_str(), RENAME_NOREPLACE),
       "rename into new/");
}

void sync_new(const Message& message) {
  must(::fsync(message.maildir->new_dir.get()), "fsync of new/");
}

void sync_each_new(std::span<const MessagePtr> messages) {
  std::vector<int> directories;
  directories.reserve(messages.size());
  for (const auto& message : messages) directories.push_back(message->maildir->new_dir.get());
  std::sort(directories.begin(), directories.end());
  directories.erase(std::unique(directories.begin(), directories.end()), directories.end());
  for (const int directory : directories) must(::fsync(directory), "fsync of new/");
}

void unlink_from_tmp(const Message& message) {
  must(::unlinkat(message.maildir->tmp.get(), message.name.c_str(), 0), "unlink in tmp/");
}

}  // namespace lmtpd::floor
