// lookup/table.h -- the one interface of everything that can be asked for a key.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace lmtpd::lookup {

class Availability;

// `was`, of Found and Absent: it was so when the table could last be asked; an old answer. What may
// follow from one, TableSearch says.

// The formatted values (result_format applied), one a column, in row order; one at least.
struct Found {
  std::vector<std::string> values;
  bool was = false;
  bool operator==(const Found&) const = default;
};
// The table has no such key, or the key is one that it is never asked for (`domain =`, %u of "@d").
struct Absent {
  bool was = false;
  bool operator==(const Absent&) const = default;
};
// There is no answer to use. Never "unknown user". `why` names the table.
struct Unavailable {
  std::string why;
  // The table was asked, and what it holds for this key cannot be used (expansion_limit, not
  // UTF-8): no sign that it is away.
  bool answered = false;
  bool operator==(const Unavailable&) const = default;
};
using Answer = std::variant<Absent, Found, Unavailable>;

// Who is told of answers that come later.
class Asker {
 public:
  virtual void on_answer(std::uint64_t id, const Answer& answer) = 0;

 protected:
  ~Asker() = default;
};

class Table {
 public:
  virtual ~Table() = default;

  // The answer where it is known at once. Else nullopt, and `asker` is told exactly once, from the
  // event loop and never before lookup() has returned; it must live until then (every wait has a
  // deadline). `key` is case-folded valid UTF-8 and is not kept.
  [[nodiscard]] virtual std::optional<Answer> lookup(std::string_view key, Asker& asker,
                                                     std::uint64_t id) = 0;

  // Where an answer to the key would come from, were it asked for now; for explanations.
  enum class Origin {
    database,
    old_cache,  // the database, or where that is away, the cache
    cache,
    memory,  // read from a file or the configuration at the start
  };
  [[nodiscard]] virtual Origin origin(std::string_view) const { return Origin::database; }

  // Those that an answer may have to come from over a network, and be waited for. They outlive the
  // table.
  [[nodiscard]] virtual std::vector<Availability*> databases() const { return {}; }

  // As the configuration names it: "pgsql:/etc/postfix/virtual.cf".
  [[nodiscard]] virtual const std::string& name() const = 0;
};

}  // namespace lmtpd::lookup
