// lmtpd/base/wire.h -- how a message's fields are put into octets and taken out again.
//
// A message is a struct with a kType and one function that lists its fields:
//   static void fields(auto& self, auto&& field) { field(self.id, self.address); }
// encode() and decode() walk that list, so that the two cannot differ. Both ends are of one build
// on one machine: integers are in host order. Strings are a 32-bit length and the octets; a
// string_view decoded from a payload points into it. A string that says how long it may be,
// at_most<N>(self.address), does not decode where it is longer.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "lmtpd/base/result.h"
#include "lmtpd/base/types.h"

namespace lmtpd {

template <std::size_t N, bool is_cut, class Text>
struct BoundedText {
  Text& text;
};
// At most N octets: whoever encodes it has seen to that.
template <std::size_t N, class Text>
BoundedText<N, false, Text> at_most(Text& text) {
  return {text};
}
// The same, and where it is encoded it is cut to that.
template <std::size_t N, class Text>
BoundedText<N, true, Text> cut_to(Text& text) {
  return {text};
}

class WireWriter {
 public:
  // Appends to `out`.
  explicit WireWriter(std::string& out) : out_(out) {}
  template <class... Fields>
  void operator()(const Fields&... values) {
    (put(values), ...);
  }

 private:
  template <class T>
    requires std::is_integral_v<T> || std::is_enum_v<T>
  void put(T value) {
    out_.append(reinterpret_cast<const char*>(&value), sizeof value);
  }
  void put(std::string_view text) {
    put(static_cast<std::uint32_t>(text.size()));
    out_.append(text);
  }
  void put(const std::string& text) { put(std::string_view(text)); }
  template <std::size_t N, bool is_cut, class Text>
  void put(const BoundedText<N, is_cut, Text>& bounded) {
    const std::string_view text = bounded.text;
    put(is_cut ? text.substr(0, N) : text);
  }
  template <std::size_t N>
  void put(const std::array<std::uint8_t, N>& octets) {
    out_.append(reinterpret_cast<const char*>(octets.data()), N);
  }
  void put(const MailboxOwner& owner) {
    put(owner.uid.value());
    put(owner.gid.value());
  }
  template <class T>
  void put(const std::vector<T>& list) {
    put(static_cast<std::uint32_t>(list.size()));
    for (const T& item : list) put(item);
  }
  template <class T>
    requires requires(const T& t, WireWriter& w) { T::fields(t, w); }
  void put(const T& message) {
    T::fields(message, *this);
  }

  std::string& out_;
};

class WireReader {
 public:
  explicit WireReader(std::string_view in) : rest_(in) {}
  template <class... Fields>
  void operator()(Fields&&... values) {
    (get(values), ...);
  }
  // Every field was there, valid, and nothing is left over.
  [[nodiscard]] bool complete() const { return ok_ && rest_.empty(); }

 private:
  std::string_view take(std::size_t size) {
    if (!ok_ || rest_.size() < size) {
      ok_ = false;
      return {};
    }
    const std::string_view taken = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return taken;
  }
  template <class T>
    requires std::is_integral_v<T>
  void get(T& value) {
    if constexpr (std::is_same_v<T, bool>) {
      std::uint8_t octet = 0;
      get(octet);
      if (octet > 1) ok_ = false;
      value = octet == 1;
    } else {
      const std::string_view octets = take(sizeof value);
      if (ok_) std::memcpy(&value, octets.data(), sizeof value);
    }
  }
  void get(Reason& reason) {
    std::underlying_type_t<Reason> octet = 0;
    get(octet);
    if (octet > static_cast<std::underlying_type_t<Reason>>(kLastReason)) ok_ = false;
    reason = static_cast<Reason>(octet);
  }
  void get(std::string_view& text) {
    std::uint32_t size = 0;
    get(size);
    text = take(size);
  }
  void get(std::string& text) {
    std::string_view view;
    get(view);
    text = view;
  }
  template <std::size_t N, bool is_cut, class Text>
  void get(BoundedText<N, is_cut, Text>& bounded) {
    get(bounded.text);
    if (bounded.text.size() > N) ok_ = false;
  }
  template <std::size_t N>
  void get(std::array<std::uint8_t, N>& octets) {
    const std::string_view taken = take(N);
    if (ok_) std::memcpy(octets.data(), taken.data(), N);
  }
  void get(MailboxOwner& owner) {
    std::uint32_t uid = 0;
    std::uint32_t gid = 0;
    get(uid);
    get(gid);
    owner = MailboxOwner{Uid(uid), Gid(gid)};
  }
  template <class T>
  void get(std::vector<T>& list) {
    std::uint32_t size = 0;
    get(size);
    // An item takes an octet at least: a hostile count cannot ask for more memory than it sent.
    if (size > rest_.size()) ok_ = false;
    if (ok_) list.resize(size);
    for (T& item : list) get(item);
  }
  template <class T>
    requires requires(T& t, WireReader& r) { T::fields(t, r); }
  void get(T& message) {
    T::fields(message, *this);
  }

  std::string_view rest_;
  bool ok_ = true;
};

template <class Message>
void append_encoded(std::string& out, const Message& message) {
  WireWriter writer(out);
  Message::fields(message, writer);
}

template <class Message>
[[nodiscard]] std::string encode(const Message& message) {
  std::string out;
  append_encoded(out, message);
  return out;
}

// nullopt if `payload` is not exactly one `Message`.
template <class Message>
[[nodiscard]] std::optional<Message> decode(std::string_view payload) {
  std::optional<Message> message(std::in_place);
  WireReader reader(payload);
  Message::fields(*message, reader);
  if (!reader.complete()) message.reset();
  return message;
}

}  // namespace lmtpd
