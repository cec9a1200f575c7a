#include "lmtpd/master/mount_list.h"

#include <charconv>
#include <map>
#include <optional>
#include <utility>

namespace lmtpd::master {
namespace {

std::string_view take_until(std::string_view& text, char end) {
  const std::string_view taken = text.substr(0, text.find(end));
  text.remove_prefix(std::min(text.size(), taken.size() + 1));
  return taken;
}

bool is_octal(char c) { return c >= '0' && c <= '7'; }

// A blank is written as \040.
std::string unescaped(std::string_view text) {
  std::string plain;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 3 < text.size() && is_octal(text[i + 1]) && is_octal(text[i + 2]) &&
        is_octal(text[i + 3])) {
      plain += static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 +
                                 (text[i + 3] - '0'));
      i += 3;
    } else {
      plain += text[i];
    }
  }
  return plain;
}

// id, parent, device, root, PATH, options, [tags ...], "-", TYPE, source, options
std::optional<MountPoint> parse_line(std::string_view line) {
  for (int i = 0; i < 4; ++i) take_until(line, ' ');
  const std::string_view path = take_until(line, ' ');
  const std::size_t dash = line.find(" - ");
  if (!path.starts_with('/') || dash == std::string_view::npos) return std::nullopt;
  line.remove_prefix(dash + 3);
  return MountPoint{unescaped(path), std::string(take_until(line, ' '))};
}

bool is_beneath(std::string_view path, std::string_view directory) {
  if (directory == "/") return path.size() > 1;
  return path.size() > directory.size() && path.starts_with(directory) &&
         path[directory.size()] == '/';
}

}  // namespace

std::vector<MountPoint> mounts_below(std::string_view mountinfo, std::string_view base) {
  std::map<std::string, std::string> found;  // path -> type
  MountPoint above;                          // the deepest mount that the base lies on
  while (!mountinfo.empty()) {
    std::optional<MountPoint> mount = parse_line(take_until(mountinfo, '\n'));
    if (!mount) continue;
    // Whatever was mounted there before is not seen any more.
    std::erase_if(found, [&](const auto& other) { return is_beneath(other.first, mount->path); });
    if (is_beneath(mount->path, base)) {
      found[mount->path] = mount->type;
    } else if ((mount->path == base || is_beneath(base, mount->path)) &&
               mount->path.size() >= above.path.size()) {
      above = *std::move(mount);
    }
  }
  if (!above.type.empty()) found[std::string(base)] = above.type;
  std::vector<MountPoint> mounts;
  for (auto& [path, type] : found) mounts.push_back({path, std::move(type)});
  return mounts;
}

bool reports_sync_errors(std::string_view release) {
  const auto number = [&] {
    unsigned value = 0;
    const auto parsed = std::from_chars(release.data(), release.data() + release.size(), value);
    release.remove_prefix(static_cast<std::size_t>(parsed.ptr - release.data()));
    if (release.starts_with('.')) release.remove_prefix(1);
    return value;
  };
  const unsigned major = number();
  return major > 5 || (major == 5 && number() >= 17);
}

}  // namespace lmtpd::master
