// bench/floor/maildirs.h -- the directories of a trial, made beforehand and kept open.
//
// A daemon opens them for each delivery (docs/architecture.md); the bare loop does not even do
// that.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "lmtpd/base/unique_fd.h"

namespace lmtpd::floor {

struct Maildir {
  std::size_t owner = 0;  // which uid's worker would deliver here
  UniqueFd tmp;           // O_PATH
  UniqueFd new_dir;       // can be synced
};

class Maildirs {
 public:
  // Makes `count` maildirs BASE/u<owner>/m<n>, the owners taking turns, and syncs all of it.
  Maildirs(const std::string& base, std::size_t count, std::size_t owners);

  [[nodiscard]] const Maildir& at(std::size_t index) const { return maildirs_[index]; }
  [[nodiscard]] std::size_t count() const { return maildirs_.size(); }
  [[nodiscard]] std::size_t owners() const { return owners_; }
  // The directory above all, open for syncfs(2).
  [[nodiscard]] int base() const { return base_.get(); }

  // How many files all new/ hold together.
  [[nodiscard]] std::size_t stored() const;

 private:
  UniqueFd base_;
  std::size_t owners_;
  std::vector<Maildir> maildirs_;
};

}  // namespace lmtpd::floor
