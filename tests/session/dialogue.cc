#include "tests/session/dialogue.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>

namespace lmtpd::session {

bool Dialogue::is_timed() const {
  return std::ranges::any_of(lines, [](const DialogueLine& line) {
    return line.text.starts_with("wait ") || line.text == "stop" || line.text.starts_with("tls");
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
        if (dialogues.empty()) {
          std::cerr << file << ": a line before the first title\n";
          std::abort();
        }
        dialogues.back().lines.push_back({number, text});
      }
    }
  }
  if (dialogues.empty()) {
    std::cerr << folder << " holds no dialogue\n";
    std::abort();
  }
  return dialogues;
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

}  // namespace lmtpd::session
