// The configuration's parsers fail or succeed on any text; they never crash, hang or grow without
// bound. The input is lmtpd.cf, and behind the first NUL octet main.cf.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "lmtpd/base/config/expand.h"
#include "lmtpd/base/config/parameter_table.h"
#include "lmtpd/base/config/parameters.h"
#include "lmtpd/base/config/settings.h"

namespace {

void require(bool holds) {
  if (!holds) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const std::size_t nul = input.find('\0');
  const std::string own(input.substr(0, nul));
  const std::string main(nul == std::string_view::npos ? "" : input.substr(nul + 1));
  const auto parameters = lmtpd::Parameters::load(
      "/lmtpd.cf",
      [&](const std::string& path) -> lmtpd::Result<std::string> {
        if (path == "/lmtpd.cf") return own;
        if (path.ends_with("/main.cf")) return main;
        return lmtpd::fail(lmtpd::Reason::lookup_failed, path + ": none");
      },
      "host.example.org");
  if (!parameters) {
    require(!parameters.error().text.empty());
    return 0;
  }
  const auto received = lmtpd::Parameters::deserialise(parameters->serialise());
  require(received.has_value());
  require(received->changed() == parameters->changed());
  for (const lmtpd::ParameterInfo& row : lmtpd::kParameters) {
    require(parameters->value(row.name).size() <= 2 * lmtpd::kLongestValue + size);
  }
  if (const auto settings = lmtpd::Settings::parse(*received)) {
    (void)lmtpd::sources_of(*settings);
  } else {
    require(!settings.error().text.empty());
  }
  (void)lmtpd::Parameters::deserialise(input);
  return 0;
}
