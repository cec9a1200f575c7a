#include "bench/blast/message.h"

#include <fmt/format.h>

#include <array>
#include <utility>

namespace lmtpd::blast {
namespace {

constexpr std::size_t kLine = 78;  // with CRLF
constexpr std::size_t kDotEvery = 16;

constexpr auto kCrcTable = [] {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t i = 0; i < 256; ++i) {
    std::uint32_t value = i;
    for (int bit = 0; bit < 8; ++bit) value = (value >> 1) ^ ((value & 1) != 0 ? 0xEDB88320U : 0U);
    table[i] = value;
  }
  return table;
}();

// Lines of text that make up exactly `size` octets (0, or 2 and more). Every sixteenth begins with
// a dot, so that a server that does not unstuff is found out.
std::string lines_of(std::size_t size) {
  constexpr std::string_view kText =
      "abcdefghijklmnopqrstuvwxyz0123456789 the quick brown fox jumps over the lazy dog";
  std::string text;
  text.reserve(size);
  for (std::size_t line = 0; text.size() < size; ++line) {
    std::size_t length = size - text.size();
    // A rest of one octet could not hold a line end, so the last line may be longer than the
    // others.
    if (length > kLine + 1) length = kLine;
    for (std::size_t i = 0; i + 2 < length; ++i) {
      text += i == 0 && line % kDotEvery == 0 ? '.' : kText[(line * 7 + i) % kText.size()];
    }
    text += "\r\n";
  }
  return text;
}

std::string stuff_dots(std::string_view text) {
  std::string stuffed;
  stuffed.reserve(text.size() + text.size() / kLine);
  bool at_line_start = true;
  for (const char c : text) {
    if (at_line_start && c == '.') stuffed += '.';
    stuffed += c;
    at_line_start = c == '\n';
  }
  return stuffed;
}

}  // namespace

std::uint32_t crc32_of_lines(std::string_view text) {
  std::uint32_t crc = 0xFFFFFFFFU;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\r' && i + 1 < text.size() && text[i + 1] == '\n') continue;
    crc = (crc >> 8) ^ kCrcTable[(crc ^ static_cast<unsigned char>(text[i])) & 0xFFU];
  }
  return ~crc;
}

Expected<MessageMaker> MessageMaker::make(std::string run, std::size_t size,
                                          std::string_view date) {
  MessageMaker maker;
  maker.run_ = std::move(run);
  maker.date_ = date;
  const std::string id = maker.id(0);
  // head and tail are as long for every id; the final dot's line is no part of the message.
  const std::size_t frame = maker.head(id).size() + tail(id).size() - 3;
  if (size < frame || size == frame + 1) {
    return complain(fmt::format("a size of {} octets has no room for the header: {} or from {} on",
                                size, frame, frame + 2));
  }
  const std::string text = lines_of(size - frame);
  maker.crc_ = crc32_of_lines(text);
  maker.stuffed_ = stuff_dots(text);
  return maker;
}

std::string MessageMaker::id(std::uint64_t number) const {
  return fmt::format("{}.{:010}", run_, number);
}

std::string MessageMaker::head(std::string_view id) const {
  return fmt::format(
      "From: <blast@blast.invalid>\r\n"
      "To: undisclosed-recipients:;\r\n"
      "Subject: blast {0}\r\n"
      "Date: {1}\r\n"
      "Message-ID: <{0}@blast.invalid>\r\n"
      "X-Blast-Id: {0}\r\n"
      "X-Blast-Body: crc32={2:08x}\r\n"
      "\r\n"
      "{0}\r\n",
      id, date_, crc_);
}

std::string MessageMaker::tail(std::string_view id) { return fmt::format("{}\r\n.\r\n", id); }

}  // namespace lmtpd::blast
