// lookup/check/password_check.h -- whether users can log in with what auth_password_maps has of
// them.
//
// Each user's stored password is asked for as at a login, and looked at without a password. Nothing
// of it is in what is reported: of one that cannot be used, StoredPassword's words say why. Runs
// an event loop and blocks.
#pragma once

#include <event2/event.h>

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "lmtpd/base/result.h"
#include "lookup/resolver_settings.h"
#include "lookup/table.h"

namespace lmtpd::lookup {

class PasswordCheck final : private Asker {
 public:
  using Fault = std::function<void(const std::string& table, const std::string& user,
                                   const std::string& what)>;
  using Names = std::set<std::string>;

  // All that is given outlives it.
  PasswordCheck(event_base* base, const Tables& tables, Fault fault)
      : base_(base), tables_(tables), fault_(std::move(fault)) {}

  // `fault` is told of each of the users, names as tables are asked for them, who cannot log in at
  // all. Fails with lookup_failed where a table cannot be asked.
  [[nodiscard]] Result<void> run(const Names& users);

  // For whom no table has a password; a row of theirs may have a NULL.
  [[nodiscard]] const Names& without_password() const { return without_password_; }
  // Who can log in, but not by SCRAM, by the name of the table that says so.
  [[nodiscard]] const std::map<std::string, Names>& without_scram() const { return without_scram_; }

 private:
  struct Question {
    std::string user;
    std::size_t table;
    bool is_found = false;  // the first table that has him counts, but each has to answer
  };
  static constexpr std::size_t kMostUnderWay = 500;  // questions

  void ask(Question question);
  void on_answer(std::uint64_t id, const Answer& answer) override;
  // True: no further table is asked for the user.
  [[nodiscard]] bool settles(Question& question, const Answer& answer);
  void look(const Question& question, const std::vector<std::string>& values);

  event_base* base_;
  const Tables& tables_;
  const Fault fault_;
  std::unordered_map<std::uint64_t, Question> asked_;
  std::uint64_t next_id_ = 0;
  Names without_password_;
  std::map<std::string, Names> without_scram_;
  std::optional<Error> failure_;
};

// "<a>, <b>, <c> and 7 more", of at least one.
[[nodiscard]] std::string some_names(const PasswordCheck::Names& names);

}  // namespace lmtpd::lookup
