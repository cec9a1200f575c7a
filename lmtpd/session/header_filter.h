// lmtpd/session/header_filter.h -- what a delivery needs of a message's header section (RFC
// 5322 2.2).
//
// Leaves out Return-Path fields with their continuation lines (RFC 5321 4.4: the delivering system
// writes the only one), counts Received fields, keeps the first Message-ID. All else passes
// unchanged. The header section ends at an empty line or at the first line that is no field.
// Works on lines in any pieces, with bounded memory for lines of any length.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace lmtpd::session {

// How a line's end is stored.
enum class LineEnd : std::uint8_t { lf, crlf };

// The octets of a message as they are stored, counted on the way.
class StoredText {
 public:
  void text(std::string_view octets) {
    if (octets.empty()) return;
    out_ += octets;
    wire_octets_ += octets.size();
    last_ = octets.back();
  }
  void end_line(LineEnd end) {
    if (end == LineEnd::crlf) return text("\r\n");
    out_ += '\n';
    wire_octets_ += last_ == '\r' ? 1 : 2;
    last_ = '\n';
  }

  // A piece, of about so many octets.
  void begin(std::size_t octets) {
    out_.clear();
    out_.reserve(octets);
  }
  // What came since the last begin(), or free().
  [[nodiscard]] std::string_view view() const { return out_; }
  void free() {
    out_.clear();
    out_.shrink_to_fit();  // an assignment would keep the room
  }

  // All octets so far with every line end as CR LF, counted as IMAP servers do: a stored CR LF has
  // its CR already.
  [[nodiscard]] std::uint64_t wire_octets() const { return wire_octets_; }
  [[nodiscard]] bool at_line_start() const { return wire_octets_ == 0 || last_ == '\n'; }

 private:
  std::string out_;
  std::uint64_t wire_octets_ = 0;
  char last_ = '\0';
};

class HeaderFilter {
 public:
  static constexpr std::size_t kLongestName =
      64;  // of a field whose name matters, with white space
  static constexpr std::size_t kLongestMessageId = 300;  // octets kept

  // A piece of a line, without its end.
  void text(std::string_view octets, StoredText& stored);
  void end_line(LineEnd end, StoredText& stored);
  // The message is over, within a line or behind one.
  void end(StoredText& stored) { end_headers(stored); }

  // The header section is over: what follows need not come through here.
  [[nodiscard]] bool done() const { return part_ == Part::body; }
  [[nodiscard]] std::size_t received_fields() const { return received_; }
  [[nodiscard]] std::string_view message_id() const;  // without white space around

 private:
  enum class Part {
    line_start,
    name,        // held back while it may be one of ours
    after_name,  // white space between the name and its colon (RFC 5322 4.5)
    value,
    body,
  };
  enum class Field { none, other, return_path, message_id };

  void start_line(char first);
  // Takes the field name's next octet.
  void take_name(char octet, StoredText& stored);
  void hold(char octet, StoredText& stored);
  void begin_value(StoredText& stored);
  void take_value(std::string_view octets, StoredText& stored);
  void end_headers(StoredText& stored);

  Part part_ = Part::line_start;
  Field field_ = Field::none;  // which field a continuation line belongs to
  std::string held_;
  bool overlong_ = false;  // longer than any name that matters: held back no more
  std::size_t received_ = 0;
  bool has_message_id_ = false;
  std::string message_id_;
};

}  // namespace lmtpd::session
