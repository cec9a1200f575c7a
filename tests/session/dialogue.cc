#include "tests/session/dialogue.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <map>

namespace lmtpd::session {
namespace {

const std::map<std::string, Place> kPlaces{
    {"session", Place::session}, {"clear", Place::clear}, {"tls", Place::tls}};

[[noreturn]] void refuse(const std::filesystem::path& file, std::size_t line, const char* why) {
  std::cerr << file.string() << ':' << line << ": " << why << '\n';
  std::abort();
}

Place place_of(const std::filesystem::path& file, const DialogueLine& line) {
  constexpr std::size_t kName = std::string_view("only ").size();
  const std::size_t colon = line.text.find(": ", kName);
  if (colon == std::string::npos || colon + 2 == line.text.size()) {
    refuse(file, line.number, "`only` without a reason");
  }
  const auto found = kPlaces.find(line.text.substr(kName, colon - kName));
  if (found == kPlaces.end()) refuse(file, line.number, "no such place");
  return found->second;
}

}  // namespace

bool Dialogue::begins_tls() const {
  return std::ranges::any_of(lines,
                             [](const DialogueLine& line) { return line.text.starts_with("tls"); });
}

bool Dialogue::shows_certificate() const {
  return std::ranges::any_of(lines, [](const DialogueLine& line) {
    return line.text == "tls verified" || line.text == "tls untrusted";
  });
}

std::vector<Dialogue> read_dialogues(const std::string& folder) {
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() == ".txt") files.push_back(entry.path());
  }
  std::ranges::sort(files);
  std::vector<Dialogue> dialogues;
  for (const auto& file : files) {
    std::ifstream in(file);
    std::string text;
    for (std::size_t number = 1; std::getline(in, text); ++number) {
      if (text.starts_with("== ")) {
        dialogues.push_back({file.filename().string(), text.substr(3), {}});
      } else if (!text.empty() && text[0] != '#') {
        if (dialogues.empty()) refuse(file, number, "a line before the first title");
        if (text.starts_with("only ")) {
          dialogues.back().place = place_of(file, {number, text});
        } else {
          dialogues.back().lines.push_back({number, text});
        }
      }
    }
  }
  if (dialogues.empty()) {
    std::cerr << folder << " holds no dialogue\n";
    std::abort();
  }
  return dialogues;
}

bool is_event(std::string_view line) {
  return line.starts_with("wait ") || line == "stop" || line.starts_with("tls");
}

std::string unescaped(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\' || i + 1 == text.size()) {
      out += text[i];
      continue;
    }
    switch (text[++i]) {
      case 'r':
        out += '\r';
        break;
      case 'n':
        out += '\n';
        break;
      case 't':
        out += '\t';
        break;
      case '0':
        out += '\0';
        break;
      case 'x':
        out += static_cast<char>(std::stoi(std::string(text.substr(i + 1, 2)), nullptr, 16));
        i += 2;
        break;
      default:
        out += text[i];
    }
  }
  return out;
}

std::size_t times(std::string_view line) {
  std::size_t count = 1;
  if (line.size() > 1 && line[1] == '[') {
    std::from_chars(line.data() + 2, line.data() + line.size(), count);
  }
  return count;
}

std::string repeated(std::string_view octets, std::size_t times) {
  std::string all;
  all.reserve(octets.size() * times);
  for (std::size_t i = 0; i < times; ++i) all += octets;
  return all;
}

std::string_view behind_colon(std::string_view line) {
  return line.substr(std::min(line.size(), line.find(':') + 2));
}

bool is_said(std::string_view line) {
  const auto begins = [&](std::string_view with) { return line.starts_with(with); };
  return begins("C: ") || line == "C:" || begins("C[") || begins("c: ") || begins("c!: ") ||
         begins("c[");
}

std::string said(std::string_view line) {
  if (!is_said(line)) return {};
  const std::string octets = unescaped(behind_colon(line)) + (line[0] == 'C' ? "\r\n" : "");
  return repeated(octets, times(line));
}

}  // namespace lmtpd::session
