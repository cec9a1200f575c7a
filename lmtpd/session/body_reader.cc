#include "lmtpd/session/body_reader.h"

namespace lmtpd::session {

void BodyReader::begin_chunk(std::uint64_t octets, bool last) {
  chunk_rest_ = octets;
  chunk_octets_ += octets;
  last_chunk_ = last;
}

std::size_t BodyReader::read(std::string_view octets) {
  if (framing_ == Framing::chunks) octets = octets.substr(0, chunk_rest_);
  stored_.begin(octets.size());
  std::string_view rest = octets;
  read_lines(rest);
  const std::size_t consumed = octets.size() - rest.size();
  if (framing_ == Framing::chunks) {
    chunk_rest_ -= consumed;
    if (last_chunk_ && chunk_rest_ == 0 && !ended()) end_chunks();
  }
  return consumed;
}

void BodyReader::read_lines(std::string_view& rest) {
  while (!rest.empty() && state_ != State::ended) {
    switch (state_) {
      case State::line_start:
      case State::dot:
        read_line_start(rest);
        break;
      case State::dot_cr:
      case State::text_cr:
        read_behind_cr(rest);
        break;
      case State::text:
        read_text(rest);
        break;
      case State::ended:
        break;
    }
  }
}

void BodyReader::read_line_start(std::string_view& rest) {
  if (state_ == State::line_start && rest[0] == '.' && framing_ == Framing::dots) {
    state_ = State::dot;
    rest.remove_prefix(1);
  } else if (state_ == State::dot && rest[0] == '\r') {
    state_ = State::dot_cr;
    rest.remove_prefix(1);
  } else {
    state_ = State::text;
  }
}

void BodyReader::read_behind_cr(std::string_view& rest) {
  if (rest[0] != '\n') {
    // The CR was a bare one, and a dot before it a stuffed one.
    emit_text("\r");
    state_ = State::text;
    return;
  }
  rest.remove_prefix(1);
  if (state_ == State::dot_cr) {
    state_ = State::ended;
  } else {
    emit_newline();
  }
}

void BodyReader::read_text(std::string_view& rest) {
  const std::size_t lf = rest.find('\n');
  std::string_view line = rest.substr(0, lf);
  const bool cr = line.ends_with('\r');
  if (cr) line.remove_suffix(1);
  emit_text(line);
  if (lf == std::string_view::npos) {
    rest = {};
    if (cr) state_ = State::text_cr;
    return;
  }
  rest.remove_prefix(lf + 1);
  if (cr) {
    emit_newline();
  } else {
    emit_bare_newline();
  }
}

void BodyReader::emit_text(std::string_view octets) {
  decoded_octets_ += octets.size();
  if (header_.done()) {
    stored_.text(octets);
  } else {
    header_.text(octets, stored_);
  }
}

void BodyReader::emit_newline() {
  decoded_octets_ += 2;
  state_ = State::line_start;
  end_line(line_ends_ == LineEnds::lf ? LineEnd::lf : LineEnd::crlf);
}

void BodyReader::emit_bare_newline() {
  decoded_octets_ += 1;
  state_ = State::text;
  if (line_ends_ == LineEnds::lf) has_bare_newline_ = true;
  end_line(LineEnd::lf);
}

void BodyReader::end_line(LineEnd end) {
  if (header_.done()) {
    stored_.end_line(end);
  } else {
    header_.end_line(end, stored_);
  }
}

void BodyReader::end_chunks() {
  if (state_ == State::text_cr) emit_text("\r");
  header_.end(stored_);
  if (line_ends_ == LineEnds::lf && !stored_.at_line_start()) {
    // It counts, so that no message is stored that is larger than what it counts for.
    chunk_octets_ += 2;
    stored_.end_line(LineEnd::lf);
  }
  state_ = State::ended;
}

}  // namespace lmtpd::session
