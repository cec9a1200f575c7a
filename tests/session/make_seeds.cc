// make_seeds DIALOGUES OUT -- the dialogues as seeds of the fuzz targets, a folder for each target
// below OUT.
#include <filesystem>
#include <fstream>
#include <iostream>

#include "tests/session/dialogue.h"

namespace {

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

}  // namespace

int main(int argc, char** argv) {
  using namespace lmtpd::session;
  if (argc != 3) {
    std::cerr << "usage: make_seeds DIALOGUES OUT\n";
    return 2;
  }
  const std::filesystem::path out = argv[2];
  std::size_t number = 0;
  for (const Dialogue& dialogue : read_dialogues(argv[1])) {
    std::string all(1, static_cast<char>(number % 256));
    std::string commands;
    for (const DialogueLine& line : dialogue.lines) {
      if (line.text.starts_with("S:")) all += '\xF0';
      if (line.text.starts_with("C[")) continue;  // the same again and again
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
