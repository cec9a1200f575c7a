#include "lookup/check/password_check.h"

#include <fmt/format.h>

#include <utility>

#include "lmtpd/base/log.h"
#include "lookup/auth/stored_password.h"

namespace lmtpd::lookup {
namespace {

constexpr std::size_t kMostNames = 3;

}  // namespace

Result<void> PasswordCheck::run(const Names& users) {
  for (const std::string& user : users) {
    ask({.user = user, .table = 0});
    while (asked_.size() >= kMostUnderWay) event_base_loop(base_, EVLOOP_ONCE);
    if (failure_) break;
  }
  // After a failure, too: a table tells of each answer.
  while (!asked_.empty()) event_base_loop(base_, EVLOOP_ONCE);
  if (failure_) return tl::unexpected(*failure_);
  return {};
}

void PasswordCheck::ask(Question question) {
  for (; question.table < tables_.size(); ++question.table) {
    const std::uint64_t id = next_id_++;
    const std::optional<Answer> answer = tables_[question.table]->lookup(question.user, *this, id);
    if (!answer) {
      asked_.emplace(id, std::move(question));
      return;
    }
    if (settles(question, *answer)) return;
  }
  if (!question.is_found) without_password_.insert(question.user);
}

void PasswordCheck::on_answer(std::uint64_t id, const Answer& answer) {
  Question question = std::move(asked_.extract(id).mapped());
  if (settles(question, answer)) return;
  ++question.table;
  ask(std::move(question));
}

bool PasswordCheck::settles(Question& question, const Answer& answer) {
  if (const auto* found = std::get_if<Found>(&answer)) {
    if (!std::exchange(question.is_found, true)) look(question, found->values);
    return false;
  }
  const auto* unavailable = std::get_if<Unavailable>(&answer);
  if (unavailable == nullptr) return false;
  if (unavailable->answered) {
    if (!std::exchange(question.is_found, true)) {
      fault_(tables_[question.table]->name(), question.user, "cannot log in: " + unavailable->why);
    }
    return false;
  }
  if (!failure_) failure_ = Error{Reason::lookup_failed, unavailable->why};
  return true;
}

void PasswordCheck::look(const Question& question, const std::vector<std::string>& values) {
  const std::string& table = tables_[question.table]->name();
  if (values.size() != 1) {
    return fault_(table, question.user, "cannot log in: several passwords of one user");
  }
  const Result<StoredPassword> stored = StoredPassword::parse(values.front());
  if (!stored) return fault_(table, question.user, "cannot log in: " + stored.error().text);
  if (stored->scram() == nullptr) without_scram_[table].insert(question.user);
}

std::string some_names(const PasswordCheck::Names& names) {
  std::string text;
  std::size_t said = 0;
  for (const std::string& name : names) {
    if (said == kMostNames) return fmt::format("{} and {} more", text, names.size() - said);
    text += fmt::format("{}<{}>", said++ == 0 ? "" : ", ", escaped(name));
  }
  return text;
}

}  // namespace lmtpd::lookup
