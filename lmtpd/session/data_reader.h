// lmtpd/session/data_reader.h -- the text behind DATA: dots, line ends, and where it ends (RFC
// 5321 4.5.2).
//
// Only CR LF . CR LF (or . CR LF at the very start) ends the data; no bare CR, bare LF or NUL takes
// part in that (CVE-2023-51764 and its kin). A dot that begins a line is taken away, a line being
// what follows CR LF: a dot behind a bare LF was not stuffed by the sender, and stays. CR LF
// becomes LF. A bare LF is kept as a line end, and reported (forbid_bare_newline, like Postfix's
// parameter, speaks of LF only); a bare CR is kept as it is. The header section goes through
// HeaderFilter. How the octets were cut on the way makes no difference.
#pragma once

#include <cstdint>
#include <string_view>

#include "lmtpd/session/header_filter.h"

namespace lmtpd::session {

class DataReader {
 public:
  // Takes octets, at most up to the end of the data, and returns how many.
  [[nodiscard]] std::size_t read(std::string_view octets);
  [[nodiscard]] bool ended() const { return state_ == State::ended; }

  // What the last read() decoded: a part of the message as it is stored, with LF line ends. An
  // octet or two may wait for the next read().
  [[nodiscard]] std::string_view output() const { return stored_.view(); }

  // The message's size as RFC 1870 counts it: octets as on the wire, with CR LF, without the
  // stuffed dots and the end of the data.
  [[nodiscard]] std::uint64_t received_octets() const { return received_octets_; }
  // Octets of all output so far with every line end as CR LF.
  [[nodiscard]] std::uint64_t wire_octets() const { return stored_.wire_octets(); }

  [[nodiscard]] bool has_bare_newline() const { return has_bare_newline_; }
  [[nodiscard]] std::size_t received_fields() const { return header_.received_fields(); }
  [[nodiscard]] std::string_view message_id() const { return header_.message_id(); }

 private:
  enum class State {
    line_start,  // behind CR LF, or at the start
    dot,         // a dot at line_start, not passed on
    dot_cr,      // then CR, not passed on either
    text,
    text_cr,  // a CR, not passed on
    ended,
  };

  // Each takes octets from the front of `rest`.
  void read_line_start(std::string_view& rest);
  void read_behind_cr(std::string_view& rest);
  void read_text(std::string_view& rest);

  void emit_text(std::string_view octets);
  void emit_newline();
  void emit_bare_newline();

  State state_ = State::line_start;
  bool has_bare_newline_ = false;
  std::uint64_t received_octets_ = 0;
  HeaderFilter header_;
  StoredText stored_;
};

}  // namespace lmtpd::session
