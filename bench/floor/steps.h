// bench/floor/steps.h -- the steps of which the patterns are made: each one system call, or two,
// and success.
#pragma once

#include <span>

#include "bench/floor/trial.h"

namespace lmtpd::floor {

// Creates the name in tmp/ and writes the octets; the file stays open.
void write_to_tmp(Message& message, const Trial& trial);
// Lets the write-out begin; waits for nothing.
void start_write_out(const Message& message);
void sync_file(const Message& message);
// link(2) into new/; the name in tmp/ stays.
void link_to_new(Message& message);
// renameat2(2) into new/.
void rename_to_new(Message& message);
void sync_new(const Message& message);
// The new/ of all of them, each once.
void sync_each_new(std::span<const MessagePtr> messages);
void unlink_from_tmp(const Message& message);

}  // namespace lmtpd::floor
