// make_seeds DIALOGUES OUT -- the dialogues as seeds of the fuzz targets, a folder for each target
// below OUT.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <string_view>
#include <utility>

#include "tests/session/dialogue.h"

namespace {

using namespace lmtpd::session;

void write(const std::filesystem::path& folder, std::size_t number, const std::string& octets) {
  std::filesystem::create_directories(folder);
  std::ofstream(folder / std::to_string(number), std::ios::binary) << octets;
}

// What fuzz_session takes for the Backend's directions is quoted.
std::string quoted(const std::string& octets) {
  std::string out;
  for (const char c : octets) {
    if (static_cast<unsigned char>(c) >= 0xEF) out += '\xEF';
    out += c;
  }
  return out;
}

// The first octet of fuzz_session's input, and what it has the Backend do at this line.
unsigned char settings_of(const Dialogue& dialogue) {
  static const std::pair<std::string_view, unsigned> kSettings[] = {
      {"set strict", 1},          {"set auth offered", 1},      {"set reject_bare_newline", 2},
      {"set auth required", 256}, {"set auth strangers", 2},    {"body full-at", 4},
      {"body refused-at", 8},     {"body refused", 16},         {"set trusted", 32},
      {"set tls may", 32},        {"set tls encrypt", 32 | 64}, {"set tls_first", 128}};
  unsigned flags = dialogue.place == Place::tls ? 128 : 0;
  for (const DialogueLine& line : dialogue.lines) {
    const auto* const row = std::ranges::find_if(
        kSettings, [&](const auto& setting) { return line.text.starts_with(setting.first); });
    if (row != std::end(kSettings)) flags |= row->second;
  }
  // Not with TLS, nor of who is trusted: there it is required of strangers.
  if ((flags & 256) != 0) flags |= (flags & 32) != 0 ? 2 : 64;
  return static_cast<unsigned char>(flags);
}

// What is said N times, by fuzz_session's direction for that; where it is c[N], of one octet.
std::string shortened(std::string_view line) {
  std::string one = quoted(unescaped(behind_colon(line)));
  if (line[0] == 'C') one += "\r\n";
  std::string out = one;
  std::size_t left = times(line) - 1;
  while (left >= 64) {
    const std::size_t blocks = std::min<std::size_t>(left / 64, 256);
    out += '\xF2';
    out += static_cast<char>(blocks - 1);
    left -= 64 * blocks;
  }
  return out + repeated(one, left);
}

std::string_view direction_of(std::string_view line) {
  if (line.starts_with("S[")) return "\xF3";
  if (line.starts_with("S")) return "\xF0";
  if (line.starts_with("wait ")) return "\xF1\xF1\xF1";
  if (line == "tls failed") return "\xFA";
  if (line == "stop") return "\xFE";
  return {};
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::cerr << "usage: make_seeds DIALOGUES OUT\n";
    return 2;
  }
  const std::filesystem::path out = argv[2];
  std::size_t number = 0;
  for (const Dialogue& dialogue : read_dialogues(argv[1])) {
    std::string all(1, static_cast<char>(settings_of(dialogue)));
    std::string commands;
    for (const DialogueLine& line : dialogue.lines) {
      all += direction_of(line.text);
      if (line.text.starts_with("C[") || line.text.starts_with("c[")) {
        all += shortened(line.text);
        continue;  // none of it for the other targets
      }
      const std::string octets = said(line.text);
      all += quoted(octets);
      commands += octets;
    }
    ++number;
    write(out / "fuzz_session", number, all);
    write(out / "fuzz_command", number, commands);
    write(out / "fuzz_data", number, "\x10" + commands);
    write(out / "fuzz_bdat", number, (number % 2 == 0 ? "\x10\x05" : "\x11\x07") + commands);
  }
  return 0;
}
