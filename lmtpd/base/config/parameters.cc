#include "lmtpd/base/config/parameters.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cassert>
#include <cerrno>

#include "lmtpd/base/config/parameter_loader.h"
#include "lmtpd/base/config/parameter_table.h"
#include "lmtpd/base/log.h"
#include "lmtpd/base/unique_fd.h"
#include "lmtpd/base/wire.h"

namespace lmtpd {
namespace {

constexpr std::size_t kLongestFile = 4'194'304;  // octets

Result<std::string> read_from_disk(const std::string& path) {
  const auto failure = [&] { return fail(Reason::lookup_failed, errno_text(path, errno)); };
  const UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!file) return failure();
  struct stat status{};
  if (::fstat(file.get(), &status) != 0) return failure();
  if (!S_ISREG(status.st_mode)) return fail(Reason::lookup_failed, path + ": not a plain file");
  std::string text;
  std::array<char, 16384> chunk{};
  for (;;) {
    const ssize_t got = ::read(file.get(), chunk.data(), chunk.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return failure();
    if (got == 0) return text;
    text.append(chunk.data(), static_cast<std::size_t>(got));
    if (text.size() > kLongestFile) {
      return fail(Reason::lookup_failed,
                  fmt::format("{}: longer than {} octets", path, kLongestFile));
    }
  }
}

std::string own_host_name() {
  std::array<char, 256> name{};
  if (::gethostname(name.data(), name.size() - 1) != 0) return "localhost";
  return name.data();
}

// What crosses a channel.
struct WireEntry {
  std::string name;
  std::string value;
  std::string origin;
  bool changed = false;
  static void fields(auto& self, auto&& field) {
    field(self.name, self.value, self.origin, self.changed);
  }
};
struct WireParameters {
  std::vector<WireEntry> entries;
  static void fields(auto& self, auto&& field) { field(self.entries); }
};

}  // namespace

Result<Parameters> Parameters::load(const std::string& path) {
  return load(path, read_from_disk, own_host_name());
}

Result<Parameters> Parameters::load(const std::string& path, const ReadFile& read_file,
                                    const std::string& host_name) {
  ParameterLoader loader(read_file, host_name);
  std::vector<ParameterLoader::Value> values = loader.load(path);
  if (!loader.complaints().empty()) return loader.complaints().as_failure();
  assert(values.size() == kParameters.size());
  Parameters parameters;
  for (std::size_t i = 0; i < values.size(); ++i) {
    ParameterLoader::Value& value = values[i];
    parameters.entries_.emplace(
        kParameters[i].name, Entry{std::move(value.text), std::move(value.origin), value.changed});
  }
  parameters.warnings_ = loader.take_warnings();
  return parameters;
}

std::string Parameters::serialise() const {
  WireParameters wire;
  for (const auto& [name, entry] : entries_) {
    wire.entries.push_back({name, entry.value, entry.origin, entry.changed});
  }
  return encode(wire);
}

Result<Parameters> Parameters::deserialise(std::string_view text) {
  auto wire = decode<WireParameters>(text);
  Parameters parameters;
  if (wire) {
    for (WireEntry& entry : wire->entries) {
      if (find_parameter(entry.name) == nullptr) continue;
      parameters.entries_.emplace(
          std::move(entry.name),
          Entry{std::move(entry.value), std::move(entry.origin), entry.changed});
    }
  }
  if (!wire || wire->entries.size() != kParameters.size() ||
      parameters.entries_.size() != kParameters.size()) {
    return fail(Reason::lookup_failed, "the parameters are not those of this build");
  }
  return parameters;
}

const std::string& Parameters::value(std::string_view name) const {
  const auto found = entries_.find(name);
  assert(found != entries_.end());
  return found->second.value;
}

const std::string& Parameters::origin(std::string_view name) const {
  const auto found = entries_.find(name);
  assert(found != entries_.end());
  return found->second.origin;
}

std::string Parameters::changed() const {
  std::string out;
  for (const auto& [name, entry] : entries_) {
    if (!entry.changed) continue;
    out += name;
    out += entry.value.empty() ? " =" : " = ";
    for (const char c : entry.value) {
      if (c == '$') out += '$';
      out += c;
    }
    out += '\n';
  }
  return out;
}

}  // namespace lmtpd
