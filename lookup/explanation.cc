#include "lookup/explanation.h"

#include <fmt/format.h>

#include <map>
#include <memory>
#include <set>
#include <utility>

#include "lmtpd/base/control_protocol.h"
#include "lmtpd/base/log.h"

namespace lmtpd::lookup {
namespace {

constexpr std::size_t kLongestShown = 1000;
// Of an answer's values. With a table's name, a key and one more value it fits a control line.
constexpr std::size_t kLongestValues = kLongestControlLine / 2;

using Question = std::pair<const Table*, std::string>;
// Where each answer was when it was first asked for, in whatever pass.
using Origins = std::map<Question, Table::Origin>;

std::string_view name(Table::Origin origin) {
  switch (origin) {
    case Table::Origin::memory:
      return "file";
    case Table::Origin::cache:
      return "cache";
    case Table::Origin::old_cache:
      return "database; the cache has an old answer";
    case Table::Origin::database:
      break;
  }
  return "database";
}

std::string text_of(const Answer& answer) {
  constexpr std::string_view kWas = ", when it could last be asked";
  if (const auto* found = std::get_if<Found>(&answer)) {
    std::string text;
    std::size_t shown = 0;
    for (const std::string& value : found->values) {
      if (text.size() > kLongestValues) break;
      text += fmt::format("{}\"{}\"", shown++ == 0 ? "" : ", ", escaped(value, kLongestShown));
    }
    const std::size_t more = found->values.size() - shown;
    if (more > 0) text += fmt::format(" and {} more", more);
    return text.append(found->was ? kWas : "");
  }
  if (const auto* unavailable = std::get_if<Unavailable>(&answer)) {
    return "failed: " + escaped(unavailable->why, kLongestShown);
  }
  return std::string("nothing").append(std::get<Absent>(answer).was ? kWas : "");
}

// Hands everything on, and writes down what this pass needed.
class Tracing final : public Answers {
 public:
  Tracing(Answers& answers, Origins& origins) : answers_(answers), origins_(origins) {}

  const Answer* need(Table& table, std::string_view key) override {
    const Table::Origin origin = origin_of(table, key);
    const Answer* answer = answers_.need(table, key);
    if (answer != nullptr && needed_.emplace(&table, key).second) {
      lines_.push_back(fmt::format("  {}: <{}>: {} ({})", escaped(table.name(), kLongestShown),
                                   escaped(key, kLongestShown), text_of(*answer), name(origin)));
    }
    return answer;
  }
  void prefetch(Table& table, std::string_view key) override {
    (void)origin_of(table, key);
    answers_.prefetch(table, key);
  }
  void on_step(Step step, const PlainAddress& address) override {
    std::string line = fmt::format("{} <{}>", step == Step::aliases ? "aliases of" : "mailbox of",
                                   escaped(address.external(), kLongestShown));
    if (steps_.insert(line).second) lines_.push_back(std::move(line));
  }

  [[nodiscard]] std::vector<std::string> take_lines() { return std::move(lines_); }

 private:
  Table::Origin origin_of(Table& table, std::string_view key) {
    const auto known = origins_.find({&table, std::string(key)});
    if (known != origins_.end()) return known->second;
    return origins_.emplace(Question(&table, key), table.origin(key)).first->second;
  }

  Answers& answers_;
  Origins& origins_;
  std::set<Question> needed_;
  std::set<std::string> steps_;
  std::vector<std::string> lines_;
};

}  // namespace

std::optional<Explanation> Explainer::explain(const Address& recipient, Client& client,
                                              std::uint64_t id) {
  return inquiries_.begin(
      [this, recipient,
       origins = std::make_shared<Origins>()](Answers& answers) -> std::optional<Explanation> {
        // Anew each time: the last run is the whole way.
        Tracing tracing(answers, *origins);
        std::optional<Resolution> resolution = Evaluation(recipient, settings_, tracing).run();
        if (!resolution) return std::nullopt;
        return Explanation{*std::move(resolution), tracing.take_lines()};
      },
      client, id);
}

}  // namespace lmtpd::lookup
