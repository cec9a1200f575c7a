// tests/lookup/fake_table.h -- tables of rows in memory whose answers come when the test says so.
#pragma once

#include <algorithm>
#include <functional>
#include <map>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "lookup/availability.h"
#include "lookup/table.h"

namespace lmtpd::lookup {

// What waits for an answer. A round is one round trip: all that was asked before it began.
class Rounds {
 public:
  struct Question {
    Asker* asker;
    std::uint64_t id;
    Answer answer;
    Availability* database = nullptr;  // that gives it
    bool is_asked = true;              // else it could not be
    Availability::Question question{};
  };

  void add(Question question) { questions_.push_back(std::move(question)); }
  [[nodiscard]] bool idle() const { return questions_.empty(); }
  [[nodiscard]] std::size_t waiting() const { return questions_.size(); }

  void play() {
    std::vector<Question> round = std::exchange(questions_, {});
    if (shuffle_ != nullptr) std::shuffle(round.begin(), round.end(), *shuffle_);
    ++played_;
    for (Question& question : round) answer(std::move(question));
  }
  // The first that was asked, alone.
  void play_first() {
    Question question = std::move(questions_.front());
    questions_.erase(questions_.begin());
    answer(std::move(question));
  }
  void play_all() {
    while (!idle()) play();
  }
  // One answer at a time, any of those that wait.
  void play_one_by_one(std::mt19937& random) {
    while (!idle()) {
      const auto at = static_cast<std::ptrdiff_t>(random() % questions_.size());
      Question question = std::move(questions_[static_cast<std::size_t>(at)]);
      questions_.erase(questions_.begin() + at);
      answer(std::move(question));
    }
  }
  void shuffle_with(std::mt19937& random) { shuffle_ = &random; }
  [[nodiscard]] int played() const { return played_; }

 private:
  static void answer(Question question) {
    if (question.database != nullptr) {
      question.is_asked ? question.database->on_answer(std::move(question.question))
                        : question.database->on_failure();
    }
    question.asker->on_answer(question.id, question.answer);
  }

  std::vector<Question> questions_;
  std::mt19937* shuffle_ = nullptr;
  int played_ = 0;
};

class FakeTable final : public Table {
 public:
  using Rows = std::vector<std::pair<std::string, std::string>>;

  explicit FakeTable(std::string name, const Rows& rows = {}) : name_(std::move(name)) {
    for (const auto& [key, value] : rows) add(key, value);
  }
  void add(const std::string& key, const std::string& value) { rows_[key].push_back(value); }
  void remove(const std::string& key) { rows_.erase(key); }
  // Of whose state its answers and failures tell.
  void of(Availability& database) { database_ = &database; }
  // nullptr: answers at once.
  void answer_in(Rounds* rounds) { rounds_ = rounds; }
  void fail() {
    failure_ = Unavailable{"connection refused"};
    is_away_ = true;
  }
  // The database answers, and says that the query is none.
  void fail_query() { failure_ = Unavailable{"no such relation"}; }
  // Has what cannot be used.
  void spoil() { failure_ = Unavailable{"not valid UTF-8", true}; }
  void mend() {
    failure_.reset();
    is_away_ = false;
  }
  // Is away, with old answers for everything; for this key.
  void go_away() { all_old_ = true; }
  void go_away(const std::string& key) { old_keys_.insert(key); }

  std::optional<Answer> lookup(std::string_view key, Asker& asker, std::uint64_t id) override {
    ++asked_;
    keys_.insert(std::string(key));
    const bool was = all_old_ || old_keys_.contains(std::string(key));
    Answer answer = Absent{was};
    const auto row = rows_.find(std::string(key));
    if (row != rows_.end()) answer = Found{row->second, was};
    if (failure_) answer = *failure_;
    if (rounds_ == nullptr) {
      if (database_ != nullptr && is_away_) database_->on_failure();
      return answer;
    }
    rounds_->add({&asker, id, std::move(answer), database_, !is_away_,
                  database_ != nullptr ? database_->on_asked() : Availability::Question()});
    return std::nullopt;
  }
  [[nodiscard]] std::vector<Availability*> databases() const override {
    return database_ != nullptr ? std::vector{database_} : std::vector<Availability*>();
  }
  [[nodiscard]] const std::string& name() const override { return name_; }

  [[nodiscard]] int asked() const { return asked_; }
  [[nodiscard]] bool was_asked_for(const std::string& key) const { return keys_.contains(key); }

 private:
  std::string name_;
  std::map<std::string, std::vector<std::string>> rows_;
  std::set<std::string> keys_;
  Availability* database_ = nullptr;
  Rounds* rounds_ = nullptr;
  std::optional<Unavailable> failure_;
  bool is_away_ = false;
  bool all_old_ = false;
  std::set<std::string> old_keys_;
  int asked_ = 0;
};

}  // namespace lmtpd::lookup
