// bench/maildir_bench.cc -- what a delivery costs: maildir/ alone, one thread, no channel, no LMTP.
//
//   workload                      what it is
//   lone                          one 4 KiB message at a time: a client on one connection
//   group/8, /32, /100            that many messages in flight, of 4 KiB, as one group
//   body_size/1024 .. /1048576    groups of 32 of larger messages
//   one_mailbox/32                a group that all goes into one mailbox: a newsletter's bounces
//   new_mailbox                   a first message, its mailbox made and synced up to the base
//   no_fsync/1, /100              the same as lone and group without a sync: the CPU's share
//   unique_name                   a file name
//
// Each but one_mailbox spreads over 1,000 mailboxes. items_per_second is messages a second; the CPU
// time is this thread's, which with fsync is a small part.
//
// The mail base is made in $LMTPD_BENCH_DIR (default: the working directory) and is left there,
// since ext4 is slow for minutes after a deletion. A figure that is to be compared wants a freshly
// made file system of the same size for each contender, and alternating runs:
//   truncate -s 4G disk.img && mkfs.ext4 -q disk.img && mount -o loop disk.img mnt
//   LMTPD_BENCH_DIR=mnt maildir_bench

#include <benchmark/benchmark.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <stdexcept>
#include <string>
#include <vector>

#include "maildir/delivery.h"
#include "maildir/unique_name.h"

namespace lmtpd::maildir {
namespace {

constexpr std::size_t kMailboxes = 1000;
constexpr std::size_t kUsualBody = 4096;  // octets

void make_directory(const std::string& path) {
  if (::mkdir(path.c_str(), 0700) != 0) throw std::runtime_error("mkdir " + path);
}

MailboxPath mailbox_path(const std::string& path) { return MailboxPath::parse(path + "/").value(); }

// One a process, so that all workloads meet the same disk.
class MailBase {
 public:
  static const MailBase& get() {
    static const MailBase base;
    return base;
  }

  [[nodiscard]] Deliverer deliverer(bool fsync) const {
    UniqueFd base(::open(path_.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    return Deliverer::open(std::move(base), {.host = "bench.example.org", .fsync = fsync}).value();
  }
  [[nodiscard]] const MailboxPath& mailbox(std::size_t i) const {
    return mailboxes_[i % mailboxes_.size()];
  }

 private:
  MailBase() {
    const char* directory = std::getenv("LMTPD_BENCH_DIR");
    path_ = fmt::format("{}/lmtpd-bench.XXXXXX", directory != nullptr ? directory : ".");
    if (::mkdtemp(path_.data()) == nullptr) throw std::runtime_error("mkdtemp " + path_);
    for (std::size_t i = 0; i < kMailboxes; ++i) {
      const std::string mailbox = fmt::format("user{}", i);
      make_directory(fmt::format("{}/{}", path_, mailbox));
      for (const char* name : {"tmp", "new", "cur"}) {
        make_directory(fmt::format("{}/{}/{}", path_, mailbox, name));
      }
      mailboxes_.push_back(mailbox_path(mailbox));
    }
    ::sync();
  }

  std::string path_;
  std::vector<MailboxPath> mailboxes_;
};

struct Workload {
  std::size_t group = 1;
  std::size_t body = kUsualBody;
  std::size_t mailboxes = kMailboxes;
  bool fsync = true;
};

void run(benchmark::State& state, const Workload& workload) {
  const MailBase& base = MailBase::get();
  Deliverer deliverer = base.deliverer(workload.fsync);
  const std::string headers = "Return-Path: <sender@example.org>\nDelivered-To: user@example.org\n";
  const std::string body(workload.body, 'x');
  std::vector<Delivery> group(workload.group, Delivery{.headers = headers,
                                                       .body = body,
                                                       .body_size = body.size(),
                                                       .wire_size = headers.size() + body.size()});
  std::size_t next = 0;
  for (auto _ : state) {
    for (Delivery& delivery : group) delivery.path = &base.mailbox(next++ % workload.mailboxes);
    for (const Outcome& outcome : deliverer.deliver(group)) {
      if (outcome.kind != Outcome::Kind::stored) state.SkipWithError(outcome.error.text.c_str());
    }
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(workload.group));
}

void lone(benchmark::State& state) { run(state, {}); }
void group(benchmark::State& state) {
  run(state, {.group = static_cast<std::size_t>(state.range(0))});
}
void body_size(benchmark::State& state) {
  run(state, {.group = 32, .body = static_cast<std::size_t>(state.range(0))});
}
void one_mailbox(benchmark::State& state) {
  run(state, {.group = static_cast<std::size_t>(state.range(0)), .mailboxes = 1});
}
void no_fsync(benchmark::State& state) {
  run(state, {.group = static_cast<std::size_t>(state.range(0)), .fsync = false});
}

void new_mailbox(benchmark::State& state) {
  Deliverer deliverer = MailBase::get().deliverer(true);
  static std::size_t made = 0;
  for (auto _ : state) {
    const MailboxPath path = mailbox_path(fmt::format("new{}", made++));
    const Delivery delivery{.path = &path, .body = "x", .body_size = 1};
    const Outcome outcome = deliverer.deliver({&delivery, 1})[0];
    if (outcome.kind != Outcome::Kind::stored) state.SkipWithError(outcome.error.text.c_str());
  }
  state.SetItemsProcessed(state.iterations());
}

void unique_name(benchmark::State& state) {
  const UniqueNames names("bench.example.org");
  for (auto _ : state) benchmark::DoNotOptimize(names.next({.on_disk = 4096, .wire = 4200}));
  state.SetItemsProcessed(state.iterations());
}

BENCHMARK(lone)->UseRealTime();
BENCHMARK(group)->Arg(8)->Arg(32)->Arg(100)->UseRealTime();
BENCHMARK(body_size)->Arg(1024)->Arg(65536)->Arg(1048576)->UseRealTime();
BENCHMARK(one_mailbox)->Arg(32)->UseRealTime();
BENCHMARK(new_mailbox)->UseRealTime();
BENCHMARK(no_fsync)->Arg(1)->Arg(100)->UseRealTime();
BENCHMARK(unique_name);

}  // namespace
}  // namespace lmtpd::maildir

BENCHMARK_MAIN();
