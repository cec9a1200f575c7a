// lmtpd/session/body_reader.h -- a message as the client sends it: where it ends, dots, line ends.
//
// Behind DATA (RFC 5321 4.5.2) only CR LF . CR LF (or . CR LF at the very start) ends it; no bare
// CR, bare LF or NUL takes part in that (CVE-2023-51764 and its kin). A dot that begins a line is
// taken away, a line being what follows CR LF: a dot behind a bare LF was not stuffed by the
// sender, and stays. Behind BDAT (RFC 3030) it comes in counted chunks, which may be cut anywhere,
// and no dot means anything.
//
// CR LF becomes LF. A bare LF is kept as a line end, and reported (forbid_bare_newline, like
// Postfix's parameter, speaks of LF only); a bare CR is kept as it is. A last line without an end,
// which only chunks can have, gets one. A BODY=BINARYMIME message keeps its octets instead. The
// header section goes through HeaderFilter in any case. How the octets were cut on the way makes no
// difference.
#pragma once

#include <cstdint>
#include <string_view>

#include "lmtpd/session/header_filter.h"

namespace lmtpd::session {

class BodyReader {
 public:
  enum class Framing : std::uint8_t { dots, chunks };
  enum class LineEnds : std::uint8_t {
    lf,
    as_sent,  // BINARYMIME
  };
  explicit BodyReader(Framing framing, LineEnds line_ends = LineEnds::lf)
      : framing_(framing), line_ends_(line_ends) {}

  [[nodiscard]] Framing framing() const { return framing_; }

  // The next chunk, behind the end of the one before; `last`: the message ends with it. An empty
  // one wants a read() too.
  void begin_chunk(std::uint64_t octets, bool last);

  // Takes octets, at most up to the end of the message or of the chunk, and returns how many.
  [[nodiscard]] std::size_t read(std::string_view octets);
  [[nodiscard]] bool ended() const { return state_ == State::ended; }
  // A chunk is complete, and the next one is due or the message has ended.
  [[nodiscard]] bool chunk_ended() const { return framing_ == Framing::chunks && chunk_rest_ == 0; }

  // What the last read() decoded: a part of the message as it is stored. An octet or two, or the
  // name of a header field, may wait for the next read().
  [[nodiscard]] std::string_view output() const { return stored_.view(); }
  // It was used, and is empty from here on: a client that sends slowly is one of thousands.
  void free_output() { stored_.free(); }

  // The message's size as RFC 1870 counts it: octets as on the wire, with CR LF, without the
  // stuffed dots and the end of the data. That of chunks is known as they begin.
  [[nodiscard]] std::uint64_t received_octets() const {
    return framing_ == Framing::dots ? decoded_octets_ : chunk_octets_;
  }
  // Octets of all output so far with every line end as CR LF.
  [[nodiscard]] std::uint64_t wire_octets() const { return stored_.wire_octets(); }

  [[nodiscard]] bool has_bare_newline() const { return has_bare_newline_; }
  [[nodiscard]] std::size_t received_fields() const { return header_.received_fields(); }
  [[nodiscard]] std::string_view message_id() const { return header_.message_id(); }

 private:
  enum class State : std::uint8_t {
    line_start,  // behind CR LF, or at the start
    dot,         // a dot at line_start, not passed on
    dot_cr,      // then CR, not passed on either
    text,
    text_cr,  // a CR, not passed on
    ended,
  };

  // Each takes octets from the front of `rest`.
  void read_lines(std::string_view& rest);
  void read_line_start(std::string_view& rest);
  void read_behind_cr(std::string_view& rest);
  void read_text(std::string_view& rest);

  void emit_text(std::string_view octets);
  void emit_newline();
  void emit_bare_newline();
  void end_line(LineEnd end);
  void end_chunks();

  Framing framing_;
  LineEnds line_ends_;
  State state_ = State::line_start;
  bool has_bare_newline_ = false;
  bool last_chunk_ = false;
  std::uint64_t chunk_rest_ = 0;
  std::uint64_t chunk_octets_ = 0;
  std::uint64_t decoded_octets_ = 0;
  HeaderFilter header_;
  StoredText stored_;
};

}  // namespace lmtpd::session
