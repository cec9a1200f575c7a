// What Postfix's side of a socketmap connection may send: netstrings, in pieces, and maps' keys.

#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "lookup/map_query.h"
#include "lookup/netstring.h"

using namespace lmtpd::lookup;

namespace {

// Every key has an answer that may be anything.
class AnyAnswer final : public Answers {
 public:
  const Answer* need(Table&, std::string_view key) override {
    answer_ = Found{{std::string(key), "@other.org"}};
    return &answer_;
  }
  void prefetch(Table&, std::string_view) override {}

 private:
  Answer answer_;
};

class NoTable final : public Table {
 public:
  std::optional<Answer> lookup(std::string_view, Asker&, std::uint64_t) override {
    return Absent{};
  }
  [[nodiscard]] const std::string& name() const override { return name_; }

 private:
  std::string name_ = "none:";
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using Kind = NetstringReader::Step::Kind;
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const NetstringReader reader(1000);
  const NetstringReader::Step whole = reader.read(input);
  // A prefix says nothing else than the whole, or that more is needed.
  for (std::size_t length = 0; length < size && length < 64; ++length) {
    const NetstringReader::Step part = reader.read(input.substr(0, length));
    if (part.kind == Kind::need_more) continue;
    if (part.kind != whole.kind || part.string != whole.string) std::abort();
  }
  if (whole.kind == Kind::string && netstring(whole.string) != input.substr(0, whole.used)) {
    std::abort();
  }
  NoTable table;
  ResolverSettings settings;
  for (Tables* const tables :
       {&settings.virtual_alias_maps, &settings.virtual_mailbox_maps, &settings.virtual_uid_maps,
        &settings.virtual_gid_maps, &settings.transport_maps}) {
    *tables = {&table};
  }
  settings.virtual_mailbox_domains = {{false, "", &table}};
  AnyAnswer answers;
  for (const char* map : {"virtual", "mailbox", "domain", "transport", "uid", "gid"}) {
    if (!query_map(map, input, settings, answers)) std::abort();
  }
  return 0;
}
