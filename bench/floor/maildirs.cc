#include "bench/floor/maildirs.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include "bench/floor/must.h"

namespace lmtpd::floor {
namespace {

constexpr int kDirectory = O_DIRECTORY | O_CLOEXEC;

std::size_t entries(int directory) {
  const int copy = must(::openat(directory, ".", O_RDONLY | kDirectory), "open new/");
  DIR* stream = ::fdopendir(copy);
  std::size_t count = 0;
  while (const dirent* entry = ::readdir(stream)) {
    if (entry->d_name[0] != '.') ++count;
  }
  ::closedir(stream);
  return count;
}

}  // namespace

Maildirs::Maildirs(const std::string& base, std::size_t count, std::size_t owners)
    : base_(must(::open(base.c_str(), O_RDONLY | kDirectory), base.c_str())), owners_(owners) {
  for (std::size_t owner = 0; owner < owners; ++owner) {
    must(::mkdirat(base_.get(), fmt::format("u{}", owner).c_str(), 0711), "mkdir of an owner");
  }
  maildirs_.reserve(count);
  for (std::size_t i = 0; i < count; ++i) {
    const std::string path = fmt::format("u{}/m{}", i % owners, i);
    for (const char* below : {"", "/tmp", "/new", "/cur"}) {
      must(::mkdirat(base_.get(), (path + below).c_str(), 0700), "mkdir of a maildir");
    }
    maildirs_.push_back(
        {.owner = i % owners,
         .tmp = UniqueFd(must(::openat(base_.get(), (path + "/tmp").c_str(), O_PATH | kDirectory),
                              "open tmp/")),
         .new_dir = UniqueFd(must(
             ::openat(base_.get(), (path + "/new").c_str(), O_RDONLY | kDirectory), "open new/"))});
  }
  must(::syncfs(base_.get()), "syncfs");
}

std::size_t Maildirs::stored() const {
  std::size_t count = 0;
  for (const auto& maildir : maildirs_) count += entries(maildir.new_dir.get());
  return count;
}

}  // namespace lmtpd::floor
