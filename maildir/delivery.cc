#include "maildir/delivery.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <time.h>

#include <cerrno>
#include <map>
#include <memory>
#include <optional>

#include "lmtpd/base/disk_error.h"
#include "lmtpd/base/log.h"
#include "maildir/mailbox.h"
#include "maildir/message_file.h"

namespace lmtpd::maildir {
namespace {

// Beyond, a file is not left to a shared sync.
constexpr std::uint64_t kLargeFile = 256 * 1024;  // octets

// A file system of the group that has a shared sync.
struct SharingFileSystem {
  const SharedSync* sync = nullptr;  // null once one did not come: the group syncs by itself
  std::uint32_t era = 0;             // from before its first write
};

// One step's waits: for each file system once.
class SharedStep {
 public:
  SharedSync::Answer on(SharingFileSystem* sharing) {
    if (sharing == nullptr) return SharedSync::Answer::absent;
    const auto [known, first] = answers_.try_emplace(sharing, SharedSync::Answer::absent);
    if (first && sharing->sync != nullptr) {
      known->second = sharing->sync->wait(sharing->era);
      if (known->second != SharedSync::Answer::durable) sharing->sync = nullptr;
    }
    return known->second;
  }

 private:
  std::map<SharingFileSystem*, SharedSync::Answer> answers_;
};

// A mailbox of the group, opened once however many of its messages the group has.
struct GroupMailbox {
  OpenMailbox directories;
  FileId new_dir;
  SharingFileSystem* sharing = nullptr;  // null: none
  timespec examined{};
  std::optional<MailboxState> unsynced_chain;
};

// One delivery of the group. Its outcome is a failure until the last step is done.
struct Item {
  const Delivery* delivery = nullptr;
  Outcome* outcome = nullptr;
  GroupMailbox* mailbox = nullptr;
  std::unique_ptr<MessageFile> file;  // null: over

  // Whether its file is left to a shared sync.
  [[nodiscard]] bool shares() const {
    return mailbox->sharing != nullptr && delivery->body_size <= kLargeFile;
  }
  void end(Error error) {
    outcome->kind = Outcome::Kind::failed;
    outcome->error = std::move(error);
    file.reset();
  }
  // False and the end of this delivery if a step failed.
  bool passed(const Result<void>& step) {
    if (!step) end(step.error());
    return step.has_value();
  }
};

// The delivery of one group, as delivery.h tells it: a method is a step for all that are left.
class Group {
 public:
  Group(int base, FileId base_id, const Deliverer::Options& options, const UniqueNames& names,
        SyncedChains& synced_chains, bool alone)
      : base_(base),
        base_id_(base_id),
        options_(options),
        names_(names),
        synced_chains_(synced_chains),
        alone_(alone) {}

  void add(const Delivery& delivery, Outcome& outcome) {
    items_.push_back(Item{.delivery = &delivery, .outcome = &outcome});
  }

  void run() {
    for (Item& item : items_) open(item);
    each([&](Item& item) { item.passed(item.file->write(names_)); });
    if (options_.fsync) {
      start_write_out();
      sync_chains();
      sync_files();
    }
    each([&](Item& item) { item.passed(item.file->publish(names_)); });
    if (options_.fsync) sync_new_directories();
    each([](Item& item) {
      if (item.passed(item.file->prove())) item.outcome->kind = Outcome::Kind::stored;
    });
    remember_chains();
  }

 private:
  void each(const auto& step) {
    for (Item& item : items_) {
      if (item.file) step(item);
    }
  }

  void open(Item& item) {
    const MailboxPath& path = *item.delivery->path;
    auto known = mailboxes_.find(path);
    if (known == mailboxes_.end()) {
      Result<std::optional<OpenMailbox>> opened = open_mailbox(base_, path);
      if (!opened) return item.end(opened.error());
      if (!*opened) {
        item.outcome->kind = Outcome::Kind::missing_mailbox;
        return;
      }
      GroupMailbox mailbox{.directories = **std::move(opened)};
      const Result<void> examined = examine(mailbox);
      if (!examined) return item.end(examined.error());
      known = mailboxes_.emplace(path, std::move(mailbox)).first;
    }
    item.mailbox = &known->second;
    item.file =
        std::make_unique<MessageFile>(options_.calls, *item.delivery, item.mailbox->directories);
  }

  Result<void> examine(GroupMailbox& mailbox) {
    if (!options_.fsync) return {};
    struct stat status{};
    if (::fstat(mailbox.directories.new_dir.get(), &status) != 0) {
      return tl::unexpected(disk_error("stat new/", errno));
    }
    mailbox.new_dir = FileId{status.st_dev, status.st_ino};
    mailbox.sharing = sharing_of(status.st_dev);
    const Result<MailboxState> state = mailbox_state(mailbox.directories.new_dir.get());
    if (!state) return tl::unexpected(state.error());
    options_.calls.clock_gettime(CLOCK_REALTIME, &mailbox.examined);
    if (synced_chains_.need_sync(*state, mailbox.examined)) mailbox.unsynced_chain = *state;
    return {};
  }

  SharingFileSystem* sharing_of(dev_t device) {
    const auto found = options_.shared_syncs.find(device);
    if (alone_ || found == options_.shared_syncs.end()) return nullptr;
    const auto [known, first] = sharing_.try_emplace(device);
    if (first) known->second = {.sync = &found->second, .era = found->second.era()};
    return &known->second;
  }

  // A lone message's fsync comes at once, and a shared sync starts the write-out itself.
  void start_write_out() {
    if (items_.size() == 1) return;
    each([](Item& item) {
      if (!item.shares()) item.passed(item.file->start_write_out());
    });
  }

  void sync_files() {
    each([](Item& item) {
      if (!item.shares()) item.passed(item.file->sync());
    });
    SharedStep shared;
    std::vector<Item*> left;
    each([&](Item& item) {
      if (!item.shares() || shared.on(item.mailbox->sharing) == SharedSync::Answer::durable) return;
      left.push_back(&item);
    });
    // A failure may be another's. The descriptor has been open since before the write, and has the
    // error if it is this file's.
    if (left.size() > 1) {
      for (Item* item : left) item->passed(item->file->start_write_out());
    }
    for (Item* item : left) {
      if (item->file) item->passed(item->file->sync());
    }
  }

  void sync_chains() {
    GroupChains chains(options_.calls, base_id_);
    std::map<FileId, Result<void>> done;
    each([&](Item& item) {
      if (!item.mailbox->unsynced_chain) return;
      const auto known = done.find(item.mailbox->new_dir);
      const Result<void> synced = known != done.end()
                                      ? known->second
                                      : chains.sync(item.mailbox->directories.new_dir.get());
      done.emplace(item.mailbox->new_dir, synced);
      item.passed(synced);
    });
  }

  void sync_new_directories() {
    std::map<FileId, int> errors;  // new/ -> errno of its one fsync, or 0
    SharedStep shared;
    each([&](Item& item) {
      const SharedSync::Answer answer = shared.on(item.mailbox->sharing);
      if (answer == SharedSync::Answer::durable) return;
      if (answer == SharedSync::Answer::failed) {
        return item.end(Error{Reason::io, fmt::format("the shared sync behind new/ of {} failed",
                                                      escaped(item.delivery->path->value()))});
      }
      const auto [known, first] = errors.try_emplace(item.mailbox->new_dir, 0);
      if (first && options_.calls.fsync(item.mailbox->directories.new_dir.get()) != 0) {
        known->second = errno;
      }
      // The message stands in new/: whatever the errno, it is no reason to bounce it.
      if (known->second != 0) {
        item.end(Error{Reason::io, errno_text(fmt::format("fsync new/ of {}",
                                                          escaped(item.delivery->path->value())),
                                              known->second)});
      }
    });
  }

  // Only once the proof is there that the syncs before it were true.
  void remember_chains() {
    for (const Item& item : items_) {
      if (item.outcome->kind == Outcome::Kind::stored && item.mailbox->unsynced_chain) {
        synced_chains_.remember(*item.mailbox->unsynced_chain, item.mailbox->examined);
      }
    }
  }

  int base_;
  FileId base_id_;
  const Deliverer::Options& options_;
  const UniqueNames& names_;
  SyncedChains& synced_chains_;
  bool alone_;
  std::map<dev_t, SharingFileSystem> sharing_;
  std::map<MailboxPath, GroupMailbox> mailboxes_;  // refer to sharing_
  std::vector<Item> items_;                        // refer to mailboxes_
};

}  // namespace

Deliverer::Deliverer(UniqueFd base, FileId base_id, Options options)
    : base_(std::move(base)),
      base_id_(base_id),
      options_(std::move(options)),
      names_(options_.host),
      synced_chains_(std::make_unique<SyncedChains>()) {}

Result<Deliverer> Deliverer::open(UniqueFd base, Options options) {
  struct stat status{};
  if (::fstat(base.get(), &status) != 0) {
    return tl::unexpected(disk_error("stat virtual_mailbox_base", errno));
  }
  return Deliverer(std::move(base), FileId{status.st_dev, status.st_ino}, std::move(options));
}

std::vector<Outcome> Deliverer::deliver(std::span<const Delivery> deliveries, bool alone) const {
  std::vector<Outcome> outcomes(deliveries.size());
  for (std::size_t done = 0; done < deliveries.size();) {
    const std::size_t size = std::min(options_.largest_group, deliveries.size() - done);
    deliver_group(deliveries.subspan(done, size), std::span(outcomes).subspan(done, size), alone);
    done += size;
  }
  return outcomes;
}

void Deliverer::deliver_group(std::span<const Delivery> deliveries, std::span<Outcome> outcomes,
                              bool alone) const {
  Group group(base_.get(), base_id_, options_, names_, *synced_chains_, alone);
  for (std::size_t i = 0; i < deliveries.size(); ++i) group.add(deliveries[i], outcomes[i]);
  group.run();
}

}  // namespace lmtpd::maildir
