#include "lookup/resolver.h"

#include <utility>

namespace lmtpd::lookup {

// One resolution: the answers it has met, which stay as they are to its end whatever the cache
// does, and the questions under way. It lives until every table has answered, heard or not.
class Resolver::Run final : public Answers, private Asker {
 public:
  Run(Resolver& resolver, Address recipient, Client& client, std::uint64_t id)
      : resolver_(resolver), recipient_(std::move(recipient)), client_(&client), id_(id) {}

  std::optional<Resolution> evaluate() {
    ++pass_;
    missing_ = 0;
    return lookup::evaluate(recipient_, resolver_.settings_, *this);
  }

  const Answer* need(Table& table, std::string_view key) override {
    Question& question = ask(table, key);
    if (question.answer) return &*question.answer;
    if (question.missed_in != pass_) {
      question.missed_in = pass_;
      ++missing_;
    }
    return nullptr;
  }
  void prefetch(Table& table, std::string_view key) override { ask(table, key); }

  [[nodiscard]] bool has_unanswered() const { return unanswered_ > 0; }
  [[nodiscard]] bool is_for(const Client& client) const { return client_ == &client; }
  void abandon() { client_ = nullptr; }

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

  Question& ask(Table& table, std::string_view key) {
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

  void on_answer(std::uint64_t id, const Answer& answer) override {
    Question& question = *asked_[id];
    question.answer = answer;
    --unanswered_;
    if (client_ != nullptr && question.missed_in == pass_ && --missing_ == 0) {
      if (const std::optional<Resolution> resolution = evaluate()) {
        std::exchange(client_, nullptr)->on_resolution(id_, *resolution);
      }
    }
    if (unanswered_ == 0) resolver_.runs_.erase(this);  // ends `this`
  }

  Resolver& resolver_;
  Address recipient_;
  Client* client_;  // nullptr: told, or gone
  std::uint64_t id_;
  std::unordered_map<StoredKey, Question, Hash, Same> questions_;
  std::vector<Question*> asked_;  // by the id of the question
  std::size_t unanswered_ = 0;
  std::size_t missing_ = 0;  // of them, what the last pass met
  std::uint32_t pass_ = 0;
};

Resolver::Resolver(ResolverSettings settings) : settings_(std::move(settings)) {}

Resolver::~Resolver() = default;

std::optional<Resolution> Resolver::resolve(const Address& recipient, Client& client,
                                            std::uint64_t id) {
  auto run = std::make_unique<Run>(*this, recipient, client, id);
  std::optional<Resolution> resolution = run->evaluate();
  if (resolution) run->abandon();
  if (run->has_unanswered()) {
    const Run* key = run.get();
    runs_.emplace(key, std::move(run));
  }
  return resolution;
}

void Resolver::abandon(const Client& client) {
  for (const auto& [key, run] : runs_) {
    if (run->is_for(client)) run->abandon();
  }
}

}  // namespace lmtpd::lookup
