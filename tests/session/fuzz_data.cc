// Text behind DATA, cut into pieces, against the reference over the whole. The first octet says how
// it is cut.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "lmtpd/session/body_reader.h"
#include "tests/session/reference_data.h"

namespace {

void must(bool holds) {
  if (!holds) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace lmtpd::session;
  if (size == 0) return 0;
  const std::size_t piece = 1 + data[0];
  const std::string_view input(reinterpret_cast<const char*>(data) + 1, size - 1);

  BodyReader reader(BodyReader::Framing::dots);
  std::string stored;
  std::string_view rest = input;
  while (!rest.empty() && !reader.ended()) {
    const std::size_t taken = reader.read(rest.substr(0, piece));
    must(taken > 0);
    rest.remove_prefix(taken);
    stored += reader.output();
  }
  must(reader.wire_octets() == wire_size(stored));
  must(reader.message_id().size() <= HeaderFilter::kLongestMessageId);

  BodyReader at_once(BodyReader::Framing::dots);
  static_cast<void>(at_once.read(input));
  must(at_once.ended() == reader.ended() && at_once.output() == stored);
  must(at_once.received_octets() == reader.received_octets());
  must(at_once.received_fields() == reader.received_fields());
  must(at_once.message_id() == reader.message_id());

  const auto expected = reference_data(input);
  must(expected.has_value() == reader.ended());
  if (!expected) return 0;
  must(expected->consumed == input.size() - rest.size());
  must(expected->wire.size() == reader.received_octets());
  must(expected->bare_newline == reader.has_bare_newline());
  must(stored == without_return_path(expected->stored));
  return 0;
}
