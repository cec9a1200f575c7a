#include "lmtpd/session/header_filter.h"

#include <algorithm>

#include "lmtpd/base/capitals.h"

namespace lmtpd::session {
namespace {

// WSP of RFC 5234 appendix B.1.
bool is_wsp(char c) { return c == ' ' || c == '\t'; }

// ftext of RFC 5322 3.6.8.
bool is_name_octet(char c) { return c > ' ' && c < 0x7F && c != ':'; }

}  // namespace

std::string_view HeaderFilter::message_id() const {
  std::string_view id = message_id_;
  while (!id.empty() && is_wsp(id.front())) id.remove_prefix(1);
  while (!id.empty() && (is_wsp(id.back()) || id.back() == '\r')) id.remove_suffix(1);
  return id;
}

void HeaderFilter::text(std::string_view octets, StoredText& stored) {
  while (!octets.empty()) {
    switch (part_) {
      case Part::line_start:
        start_line(octets[0]);
        break;
      case Part::name:
      case Part::after_name:
        take_name(octets[0], stored);
        octets.remove_prefix(1);
        break;
      case Part::value:
        take_value(octets, stored);
        return;
      case Part::body:
        stored.text(octets);
        return;
    }
  }
}

void HeaderFilter::end_line(LineEnd end, StoredText& stored) {
  if (part_ == Part::value) {
    if (field_ != Field::return_path) stored.end_line(end);
    part_ = Part::line_start;
    return;
  }
  end_headers(stored);
  stored.end_line(end);
}

void HeaderFilter::start_line(char first) {
  if (is_wsp(first) && field_ != Field::none) {
    part_ = Part::value;
  } else if (is_name_octet(first)) {
    part_ = Part::name;
    overlong_ = false;
  } else {
    part_ = Part::body;
  }
}

void HeaderFilter::take_name(char octet, StoredText& stored) {
  const bool belongs =
      is_wsp(octet) || octet == ':' || (part_ == Part::name && is_name_octet(octet));
  hold(octet, stored);
  if (!belongs) {
    end_headers(stored);
  } else if (octet == ':') {
    begin_value(stored);
  } else if (is_wsp(octet)) {
    part_ = Part::after_name;
  }
}

void HeaderFilter::hold(char octet, StoredText& stored) {
  held_ += octet;
  if (held_.size() > kLongestName) overlong_ = true;
  if (overlong_) {
    stored.text(held_);
    held_.clear();
  }
}

void HeaderFilter::begin_value(StoredText& stored) {
  part_ = Part::value;
  field_ = Field::other;
  if (overlong_) return;
  const std::string_view name = std::string_view(held_).substr(0, held_.find_first_of(" \t:"));
  if (equal_ignoring_case(name, "Return-Path")) {
    field_ = Field::return_path;
  } else {
    if (equal_ignoring_case(name, "Received")) ++received_;
    if (equal_ignoring_case(name, "Message-ID") && !has_message_id_) {
      has_message_id_ = true;
      field_ = Field::message_id;
    }
    stored.text(held_);
  }
  held_.clear();
}

void HeaderFilter::take_value(std::string_view octets, StoredText& stored) {
  if (field_ == Field::return_path) return;
  if (field_ == Field::message_id) {
    message_id_ +=
        octets.substr(0, kLongestMessageId - std::min(kLongestMessageId, message_id_.size()));
  }
  stored.text(octets);
}

void HeaderFilter::end_headers(StoredText& stored) {
  part_ = Part::body;
  stored.text(held_);
  held_.clear();
}

}  // namespace lmtpd::session
