#include "lmtpd/session/data_reader.h"

namespace lmtpd::session {

std::size_t DataReader::read(std::string_view octets) {
  stored_.clear();
  std::string_view rest = octets;
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
  return octets.size() - rest.size();
}

void DataReader::read_line_start(std::string_view& rest) {
  if (state_ == State::line_start && rest[0] == '.') {
    state_ = State::dot;
    rest.remove_prefix(1);
  } else if (state_ == State::dot && rest[0] == '\r') {
    state_ = State::dot_cr;
    rest.remove_prefix(1);
  } else {
    state_ = State::text;
  }
}

void DataReader::read_behind_cr(std::string_view& rest) {
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

void DataReader::read_text(std::string_view& rest) {
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

void DataReader::emit_text(std::string_view octets) {
  received_octets_ += octets.size();
  if (header_.done()) {
    stored_.text(octets);
  } else {
    header_.text(octets, stored_);
  }
}

void DataReader::emit_newline() {
  received_octets_ += 2;
  state_ = State::line_start;
  if (header_.done()) {
    stored_.newline();
  } else {
    header_.newline(stored_);
  }
}

void DataReader::emit_bare_newline() {
  emit_newline();
  received_octets_ -= 1;
  state_ = State::text;
  has_bare_newline_ = true;
}

}  // namespace lmtpd::session
