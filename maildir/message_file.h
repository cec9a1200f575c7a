// maildir/message_file.h -- one message on its way from tmp/ to new/.
#pragma once

#include <string>
#include <string_view>

#include "lmtpd/base/result.h"
#include "lmtpd/base/unique_fd.h"
#include "maildir/delivery.h"
#include "maildir/disk_calls.h"
#include "maildir/mailbox.h"
#include "maildir/unique_name.h"

namespace lmtpd::maildir {

// The steps of delivery.h for one message, each called once and in this order: write,
// start_write_out, sync, publish, prove. Destroyed before prove(), it removes its name in tmp/.
class MessageFile {
 public:
  // All are the caller's, and outlive the object.
  MessageFile(const DiskCalls& calls, const Delivery& delivery, const OpenMailbox& mailbox)
      : calls_(calls), delivery_(delivery), mailbox_(mailbox) {}
  ~MessageFile();
  MessageFile(const MessageFile&) = delete;
  MessageFile& operator=(const MessageFile&) = delete;

  [[nodiscard]] Result<void> write(const UniqueNames& names);
  [[nodiscard]] Result<void> start_write_out();
  // Fails, too, if the sync has succeeded and the file's octets have no place on the disk.
  [[nodiscard]] Result<void> sync();
  // Closes the file, and links it into new/ under a name that nothing has.
  [[nodiscard]] Result<void> publish(const UniqueNames& names);
  // Removes the name in tmp/: the journalled operation after the last sync.
  [[nodiscard]] Result<void> prove();

 private:
  [[nodiscard]] Result<void> create(const UniqueNames& names);
  [[nodiscard]] Result<void> write_body_of_descriptor();
  [[nodiscard]] Result<void> write_fully(std::string_view first, std::string_view second);
  [[nodiscard]] Result<void> check_blocks() const;
  [[nodiscard]] MessageSize size() const;
  [[nodiscard]] tl::unexpected<Error> failed(std::string_view operation, int error) const;

  const DiskCalls& calls_;
  const Delivery& delivery_;
  const OpenMailbox& mailbox_;
  std::string name_;  // in tmp/; empty: there is none
  UniqueFd file_;
};

}  // namespace lmtpd::maildir
