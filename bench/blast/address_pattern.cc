#include "bench/blast/address_pattern.h"

#include <fmt/format.h>

#include <charconv>
#include <optional>
#include <utility>

namespace lmtpd::blast {
namespace {

constexpr std::uint64_t kMostAddresses = std::uint64_t{1} << 32;

std::optional<std::uint64_t> parse_number(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

}  // namespace

Expected<AddressPattern::Part> AddressPattern::parse_braces(std::string_view inside) {
  Part part;
  const auto dash = inside.find('-');
  if (dash != std::string_view::npos) {
    const auto first = parse_number(inside.substr(0, dash));
    const auto last = parse_number(inside.substr(dash + 1));
    if (first && last) {
      if (*last < *first) return complain(fmt::format("{{{}}} runs backwards", inside));
      if (*last - *first >= kMostAddresses) {
        return complain(fmt::format("{{{}}} is more than 2^32 addresses", inside));
      }
      part.first = *first;
      part.width = static_cast<int>(dash);
      part.count = *last - *first + 1;
      return part;
    }
  }
  while (true) {
    const auto comma = inside.find(',');
    part.words.emplace_back(inside.substr(0, comma));
    if (comma == std::string_view::npos) break;
    inside.remove_prefix(comma + 1);
  }
  part.count = part.words.size();
  return part;
}

Expected<AddressPattern> AddressPattern::parse(std::string_view text) {
  AddressPattern pattern;
  std::string literal;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      return complain(fmt::format("control character in address pattern \"{}\"", text));
    }
    if (c == '\\' && i + 1 < text.size()) {
      literal += text[++i];
      continue;
    }
    if (c == '}') return complain(fmt::format("\"{}\" has a }} without a {{", text));
    if (c != '{') {
      literal += c;
      continue;
    }
    const auto end = text.find('}', i);
    if (end == std::string_view::npos) {
      return complain(fmt::format("\"{}\" has a {{ without a }}", text));
    }
    auto part = parse_braces(text.substr(i + 1, end - i - 1));
    if (!part) return complain(std::move(part.error()));
    pattern.count_ *= part->count;
    if (pattern.count_ > kMostAddresses) {
      return complain(fmt::format("\"{}\" is more than 2^32 addresses", text));
    }
    part->literal = std::exchange(literal, {});
    pattern.parts_.push_back(std::move(*part));
    i = end;
  }
  if (text.empty()) return complain("an address pattern is empty");
  pattern.tail_ = std::move(literal);
  return pattern;
}

std::string AddressPattern::at(std::uint64_t index) const {
  std::string address;
  std::uint64_t rest = count_;
  for (const Part& part : parts_) {
    rest /= part.count;
    const std::uint64_t digit = index / rest % part.count;
    address += part.literal;
    if (part.words.empty()) {
      fmt::format_to(std::back_inserter(address), "{:0{}}", part.first + digit, part.width);
    } else {
      address += part.words[digit];
    }
  }
  return address + tail_;
}

}  // namespace lmtpd::blast
