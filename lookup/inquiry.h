// lookup/inquiry.h -- runs a question over tables whose answers come later.
//
// The question is a pure function of the answers (Answers, table_search.h). Where one is missing it
// says so, having named all that this step needs, and is run again when what it missed is there.
// With every answer in the cache that is one pass. The answers that a run has met
// stay as they are to its end, whatever the cache does.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "lookup/table_search.h"

namespace lmtpd::lookup {

// One run's answers, and its questions under way. It lives until every table has answered, heard or
// not.
class Inquiry : public Answers, private Asker {
 public:
  virtual ~Inquiry() = default;
  Inquiry(const Inquiry&) = delete;
  Inquiry& operator=(const Inquiry&) = delete;

  const Answer* need(Table& table, std::string_view key) override;
  void prefetch(Table& table, std::string_view key) override { ask(table, key); }

  [[nodiscard]] bool has_unanswered() const { return unanswered_ > 0; }

 protected:
  Inquiry() = default;
  void begin_pass();

 private:
  struct Question {
    std::optional<Answer> answer;
    std::uint32_t missed_in = 0;  // the pass that could not do without
  };
  struct KeyRef {
    const Table* table;
    std::string_view key;
  };
  struct StoredKey {
    const Table* table;
    std::string key;
    [[nodiscard]] KeyRef ref() const { return {table, key}; }
  };
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(const KeyRef& k) const {
      return std::hash<std::string_view>()(k.key) ^ std::hash<const void*>()(k.table);
    }
    std::size_t operator()(const StoredKey& k) const { return (*this)(k.ref()); }
  };
  struct Same {
    using is_transparent = void;
    static KeyRef ref(const KeyRef& k) { return k; }
    static KeyRef ref(const StoredKey& k) { return k.ref(); }
    bool operator()(const auto& a, const auto& b) const {
      return ref(a).table == ref(b).table && ref(a).key == ref(b).key;
    }
  };

  Question& ask(Table& table, std::string_view key);
  void on_answer(std::uint64_t id, const Answer& answer) override;
  // All that the last pass missed is there.
  virtual void on_answers() = 0;
  // Nothing is unanswered. May destroy the inquiry.
  virtual void on_last_answer() = 0;

  std::unordered_map<StoredKey, Question, Hash, Same> questions_;
  std::vector<Question*> asked_;  // by the id of the question
  std::size_t unanswered_ = 0;
  std::size_t missing_ = 0;  // of them, what the last pass met
  std::uint32_t pass_ = 0;
};

// The inquiries of one kind. Must not be destroyed from a client's callback.
template <class Outcome>
class Inquiries {
 public:
  // nullopt: answers are missing.
  using Evaluate = std::function<std::optional<Outcome>(Answers& answers)>;

  class Client {
   public:
    virtual void on_outcome(std::uint64_t id, const Outcome& outcome) = 0;

   protected:
    ~Client() = default;
  };

  // The outcome where it is known at once. Else nullopt, and `client` is told once, later, unless
  // abandon() comes before.
  [[nodiscard]] std::optional<Outcome> begin(Evaluate evaluate, Client& client, std::uint64_t id) {
    auto run = std::make_unique<Run>(*this, std::move(evaluate), client, id);
    std::optional<Outcome> outcome = run->evaluate();
    if (outcome) run->abandon();
    if (run->has_unanswered()) {
      const Run* key = run.get();
      runs_.emplace(key, std::move(run));
    }
    return outcome;
  }

  // The client is gone: nothing is told to it any more.
  void abandon(const Client& client) {
    for (const auto& [key, run] : runs_) {
      if (run->is_for(client)) run->abandon();
    }
  }

  // Whose tables have not answered everything.
  [[nodiscard]] std::size_t under_way() const { return runs_.size(); }

 private:
  class Run final : public Inquiry {
   public:
    Run(Inquiries& all, Evaluate evaluate, Client& client, std::uint64_t id)
        : all_(all), evaluate_(std::move(evaluate)), client_(&client), id_(id) {}

    std::optional<Outcome> evaluate() {
      begin_pass();
      return evaluate_(*this);
    }
    [[nodiscard]] bool is_for(const Client& client) const { return client_ == &client; }
    void abandon() { client_ = nullptr; }

   private:
    void on_answers() override {
      if (client_ == nullptr) return;
      if (const std::optional<Outcome> outcome = evaluate()) {
        std::exchange(client_, nullptr)->on_outcome(id_, *outcome);
      }
    }
    void on_last_answer() override { all_.runs_.erase(this); }

    Inquiries& all_;
    Evaluate evaluate_;
    Client* client_;  // nullptr: told, or gone
    std::uint64_t id_;
  };

  std::unordered_map<const Run*, std::unique_ptr<Run>> runs_;
};

}  // namespace lmtpd::lookup
