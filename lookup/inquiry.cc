#include "lookup/inquiry.h"

namespace lmtpd::lookup {

void Inquiry::begin_pass() {
  ++pass_;
  missing_ = 0;
}

const Answer* Inquiry::need(Table& table, std::string_view key) {
  Question& question = ask(table, key);
  if (question.answer) return &*question.answer;
  if (question.missed_in != pass_) {
    question.missed_in = pass_;
    ++missing_;
  }
  return nullptr;
}

Inquiry::Question& Inquiry::ask(Table& table, std::string_view key) {
  const auto known = questions_.find(KeyRef{&table, key});
  if (known != questions_.end()) return known->second;
  Question& question =
      questions_.emplace(StoredKey{&table, std::string(key)}, Question()).first->second;
  question.answer = table.lookup(key, *this, asked_.size());
  if (!question.answer) {
    asked_.push_back(&question);
    ++unanswered_;
  }
  return question;
}

void Inquiry::on_answer(std::uint64_t id, const Answer& answer) {
  Question& question = *asked_[id];
  question.answer = answer;
  --unanswered_;
  if (question.missed_in == pass_ && --missing_ == 0) on_answers();
  if (unanswered_ == 0) on_last_answer();
}

}  // namespace lmtpd::lookup
