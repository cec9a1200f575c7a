// tests/session/reference_data.h -- what BodyReader must do, said in the plainest way: over the
// whole input at once, with string searches. The tests and fuzz_data compare the two.
#pragma once

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>

#include "lmtpd/base/capitals.h"
#include "lmtpd/session/header_filter.h"
#include "lmtpd/session/path_parser.h"

namespace lmtpd::session {

struct ReferenceText {
  std::string stored;  // with LF line ends, and with Return-Path fields still
  bool bare_newline = false;
};

// Of a message without its framing.
inline ReferenceText reference_text(std::string_view wire) {
  ReferenceText result;
  for (std::size_t i = 0; i < wire.size(); ++i) {
    const bool lf_next = i + 1 < wire.size() && wire[i + 1] == '\n';
    if (wire[i] == '\n' && (i == 0 || wire[i - 1] != '\r')) result.bare_newline = true;
    if (wire[i] != '\r' || !lf_next) result.stored += wire[i];
  }
  return result;
}

// Without these fields, whichever line ends it has.
inline std::string without_return_path(std::string_view text) {
  const auto is_blank = [](char c) { return c == ' ' || c == '\t'; };
  const auto is_name_octet = [](char c) { return c > ' ' && c < 0x7F && c != ':'; };
  std::string kept;
  bool in_field = false;
  bool leaves_out = false;
  while (!text.empty()) {
    const std::string_view line = text.substr(0, std::min(text.find('\n'), text.size() - 1) + 1);
    if (!in_field || !is_blank(line[0])) {
      const auto name_end = std::ranges::find_if_not(line, is_name_octet);
      const auto colon = std::find_if_not(name_end, line.end(), is_blank);
      if (name_end == line.begin() || colon == line.end() || *colon != ':') break;
      in_field = true;
      leaves_out = equal_ignoring_case({line.begin(), name_end}, "Return-Path") &&
                   colon - line.begin() < std::ptrdiff_t{HeaderFilter::kLongestName};
    }
    if (!leaves_out) kept += line;
    text.remove_prefix(line.size());
  }
  return kept.append(text);
}

inline std::string with_last_newline(std::string text) {
  if (!text.empty() && text.back() != '\n') text += '\n';
  return text;
}

struct ReferenceData : ReferenceText {
  std::string wire;  // the message as on the wire, dots taken away, header fields not
  std::size_t consumed = 0;
};

// nullopt: the data does not end within `octets`.
inline std::optional<ReferenceData> reference_data(std::string_view octets) {
  ReferenceData result;
  const std::string all = "\r\n" + std::string(octets);
  const std::size_t end = all.find("\r\n.\r\n");
  if (end == std::string::npos) return std::nullopt;
  result.consumed = end + 3;
  std::string text = all.substr(0, end + 2);
  for (std::size_t at = text.find("\r\n."); at != std::string::npos;
       at = text.find("\r\n.", at + 2)) {
    text.erase(at + 2, 1);
  }
  result.wire = text.substr(2);
  static_cast<ReferenceText&>(result) = reference_text(result.wire);
  return result;
}

// Octets with every line end as CR LF.
inline std::size_t wire_size(std::string_view stored) {
  std::size_t size = stored.size();
  for (std::size_t i = 0; i < stored.size(); ++i) {
    if (stored[i] == '\n' && (i == 0 || stored[i - 1] != '\r')) ++size;
  }
  return size;
}

}  // namespace lmtpd::session
