// tests/lookup/asking.h -- to ask tables and wait for their answers, with files that are only
// texts.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "lmtpd/base/config/values.h"
#include "lmtpd/event/event_ptr.h"
#include "lookup/table_factory.h"

namespace lmtpd::lookup {

// How long a test waits for what happens at once, but on a machine that has other work.
inline constexpr std::chrono::seconds kPatience{60};

// Keeps answers by id.
class Answers final : public Asker {
 public:
  void on_answer(std::uint64_t id, const Answer& answer) override {
    EXPECT_TRUE(by_id.emplace(id, answer).second) << "told twice of " << id;
  }
  std::map<std::uint64_t, Answer> by_id;
};

class Asking : public testing::Test {
 protected:
  void write(const std::string& path, std::string text) { files_[path] = std::move(text); }

  TableContext context() {
    return {base_.get(),
            [this](const std::string& path) -> Result<std::string> {
              const auto found = files_.find(path);
              if (found == files_.end())
                return fail(Reason::lookup_failed, path + ": no such file");
              return found->second;
            },
            connect_timeout_,
            query_timeout_,
            prepare_statements_,
            retry_interval_,
            most_recipients_};
  }

  // All tables of a test come from one factory, made at first use.
  TableFactory& factory() {
    if (!factory_) factory_ = std::make_unique<TableFactory>(context());
    return *factory_;
  }

  Result<std::unique_ptr<Table>> make(std::string_view reference) {
    const auto parsed = parse_table_ref(reference);
    if (!parsed) return fail(Reason::lookup_failed, parsed.error());
    return factory().make_table(*parsed);
  }
  Result<void> check(std::string_view reference) {
    return factory().check(parse_table_ref(reference).value());
  }
  std::unique_ptr<Table> table(std::string_view reference) {
    auto made = make(reference);
    if (!made) ADD_FAILURE() << made.error().text;
    return made ? *std::move(made) : nullptr;
  }
  std::string refusal(std::string_view reference) {
    const auto made = make(reference);
    return made ? "(made)" : made.error().text;
  }

  // Runs the loop until that holds. False: it did not within kPatience.
  [[nodiscard]] bool run_until(const std::function<bool()>& holds) {
    const auto deadline = std::chrono::steady_clock::now() + kPatience;
    while (!holds()) {
      if (std::chrono::steady_clock::now() > deadline) return false;
      const timeval wait{0, 10'000};
      event_base_loopexit(base_.get(), &wait);
      event_base_loop(base_.get(), EVLOOP_ONCE);
    }
    return true;
  }
  // Until `count` answers are there.
  void wait_for(const Answers& answers, std::size_t count) {
    EXPECT_TRUE(run_until([&] { return answers.by_id.size() >= count; })) << "no answer";
  }

  void run_loop_for(std::chrono::milliseconds span) {
    const auto end = std::chrono::steady_clock::now() + span;
    for (auto now = end - span; now < end; now = std::chrono::steady_clock::now()) {
      const timeval wait = to_timeval(end - now);
      event_base_loopexit(base_.get(), &wait);
      event_base_loop(base_.get(), EVLOOP_ONCE);
    }
  }

  // Asks for all in one turn of the loop; the answers in the order of the keys.
  std::vector<Answer> ask_all(Table& asked, const std::vector<std::string>& keys) {
    Answers answers;
    for (std::size_t i = 0; i < keys.size(); ++i) {
      if (auto at_once = asked.lookup(keys[i], answers, i)) answers.by_id.emplace(i, *at_once);
    }
    wait_for(answers, keys.size());
    std::vector<Answer> in_order;
    for (auto& [id, answer] : answers.by_id) in_order.push_back(answer);
    return in_order;
  }
  Answer ask(Table& asked, const std::string& key) { return ask_all(asked, {key}).at(0); }

  EventBasePtr base_{event_base_new()};
  std::map<std::string, std::string> files_;
  std::chrono::milliseconds connect_timeout_{5000};
  std::chrono::milliseconds query_timeout_{10000};
  bool prepare_statements_ = true;
  std::chrono::milliseconds retry_interval_{60000};
  std::size_t most_recipients_ = kResolveWindow;
  std::unique_ptr<TableFactory> factory_;
};

inline Answer found(std::vector<std::string> values) { return Found{std::move(values)}; }

inline std::string why(const Answer& answer) {
  const auto* unavailable = std::get_if<Unavailable>(&answer);
  return unavailable == nullptr ? "(an answer)" : unavailable->why;
}

// For messages of failed expectations.
inline void PrintTo(const Found& answer, std::ostream* out) {
  *out << "Found{";
  for (const std::string& value : answer.values) *out << '"' << value << "\" ";
  *out << "}";
}
inline void PrintTo(const Absent&, std::ostream* out) { *out << "Absent"; }
inline void PrintTo(const Unavailable& answer, std::ostream* out) {
  *out << "Unavailable{" << answer.why << "}";
}

}  // namespace lmtpd::lookup
