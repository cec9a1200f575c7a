// Chunks of a message: cut by the input, and read in pieces, against the reference over the whole.
// The first octet says how they are read and stored, the second how many octets each chunk takes
// more than the one before.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "lmtpd/session/body_reader.h"
#include "tests/session/reference_data.h"

namespace {

using namespace lmtpd::session;

void must(bool holds) {
  if (!holds) std::abort();
}

struct Result {
  BodyReader reader;
  std::string stored;
};

// Chunks of `step` octets, twice as many, and so on; 0: a single one, and an empty one at its end.
Result read(std::string_view message, std::size_t step, std::size_t piece,
            BodyReader::LineEnds line_ends) {
  Result result{BodyReader(BodyReader::Framing::chunks, line_ends), {}};
  std::size_t size = 0;
  while (!result.reader.ended()) {
    const bool last = step == 0 ? message.empty() : size + step >= message.size();
    size = step == 0 || last ? message.size() : size + step;
    result.reader.begin_chunk(size, last);
    std::size_t left = size;
    do {
      // What stands behind the chunk is offered too, and must not be taken.
      const std::size_t taken = result.reader.read(message.substr(0, piece));
      must(taken <= left && (taken > 0 || left == 0));
      must(result.reader.chunk_ended() == (taken == left));
      message.remove_prefix(taken);
      left -= taken;
      result.stored += result.reader.output();
    } while (left > 0);
  }
  must(message.empty());
  return result;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const bool binary = (data[0] & 1) != 0;
  const auto line_ends = binary ? BodyReader::LineEnds::as_sent : BodyReader::LineEnds::lf;
  const std::string_view message(reinterpret_cast<const char*>(data) + 2, size - 2);
  const Result cut = read(message, data[1], 1 + (data[0] >> 1), line_ends);
  const Result whole = read(message, 0, SIZE_MAX, line_ends);
  must(cut.stored == whole.stored);
  must(cut.reader.received_octets() == whole.reader.received_octets());
  must(cut.reader.received_fields() == whole.reader.received_fields());
  must(cut.reader.message_id() == whole.reader.message_id());
  must(cut.reader.has_bare_newline() == whole.reader.has_bare_newline());
  must(cut.reader.wire_octets() == wire_size(cut.stored));
  must(cut.stored.size() <= cut.reader.received_octets());

  const ReferenceText text = reference_text(message);
  must(cut.reader.has_bare_newline() == (text.bare_newline && !binary));
  must(cut.stored == (binary ? without_return_path(message)
                             : with_last_newline(without_return_path(text.stored))));
  return 0;
}
