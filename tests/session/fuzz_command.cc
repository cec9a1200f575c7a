// A command line's argument through the parsers of paths, parameters, addresses and attributes (of
// XCLIENT and XFORWARD), and what they made of it through all that writes it to headers and log: no
// control may come out.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string>
#include <vector>

#include "lmtpd/base/address.h"
#include "lmtpd/session/command_reader.h"
#include "lmtpd/session/forwarding.h"
#include "lmtpd/session/parameters.h"
#include "lmtpd/session/path_parser.h"
#include "lmtpd/session/recipient_log.h"
#include "lmtpd/session/trace.h"
#include "tests/session/clean_text.h"

namespace {

using namespace lmtpd::session;

void must(bool holds) {
  if (!holds) std::abort();
}

// One header field: folded lines, one LF at the end.
void must_be_field(const std::string& field) {
  must(are_clean(field));
  for (std::size_t i = 0; i + 1 < field.size(); ++i) {
    if (field[i] == '\n') must(field[i + 1] == '\t');
  }
}

void must_be_clean(const std::string& line) { must(is_clean(line)); }

void use_path(const PathArgument& path) {
  static_cast<void>(parse_mail_parameters(path.parameters, true));
  const auto address = lmtpd::Address::parse(path.mailbox);
  if (!address) {
    must_be_clean(reply_line(reply_to(address.error(), false)));
    return;
  }
  const auto again = lmtpd::Address::parse(address->external());
  must(again && again->local_part() == address->local_part());
  // Each reading drops one trailing dot.
  must(again->domain() == address->domain() || address->domain().ends_with('.'));
  must_be_field(return_path_field(*address));
  const auto parameters = parse_rcpt_parameters(path.parameters);
  if (!parameters) return;
  const std::string original = original_to_field(parameters->original_recipient, "final@x.org");
  if (!original.empty()) must_be_field(original);
  RecipientLine line;
  line.id = "S1";
  line.to = path.mailbox;
  line.original = parameters->original_recipient;
  const std::string text = format_line(line, kOk);
  must_be_clean(text);
  must(text.find(", relay=") == text.rfind(", relay="));
}

void use_attributes(std::string_view argument) {
  if (const auto client = parse_xclient(argument)) {
    const Peer peer{client->name.value_or(""), client->address.value_or(""),
                    client->port.value_or(0), false};
    const std::string from = received_from(peer);
    Hop hop;
    hop.lhlo_name = client->helo ? std::string_view(*client->helo) : std::string_view();
    hop.received_from = from;
    must_be_field(received_field(hop));
    // What Received would not show as it stands is no name and no address.
    must(received_field(hop).find('(' + from + ')') != std::string::npos);
    must_be_clean(log_name(peer));
  }
  if (const auto origin = parse_xforward(argument, {})) {
    RecipientLine line;
    line.origin = &*origin;
    const std::string text = format_line(line, kOk);
    must_be_clean(text);
    must(log_name(*origin).find_first_of(" ,\"") == std::string::npos);
    must(origin->queue_id.find_first_of(" ,\"") == std::string::npos);
  }
}

void use_line(std::string_view line) {
  Hop hop;
  hop.lhlo_name = line;
  hop.for_recipient = line;
  hop.protocol = "LMTP";
  must_be_field(received_field(hop));
  const std::string_view argument = line.substr(std::min(line.size(), line.find(' ') + 1));
  use_attributes(argument);
  for (const bool strict : {false, true}) {
    for (const std::string_view keyword : {"FROM:", "TO:"}) {
      if (const auto path = parse_path(argument, keyword, strict, kBadRecipient)) use_path(*path);
    }
  }
}

// The lines, which are the same where each octet comes by itself.
std::vector<std::string> lines_of(std::string_view input, std::size_t longest) {
  CommandReader whole;
  CommandReader cut;
  std::vector<std::string> lines;
  while (!input.empty()) {
    std::optional<CommandLine> line;
    const std::size_t read = whole.read(input, line, longest);
    must(read > 0 && read <= input.size());
    std::optional<CommandLine> same;
    for (std::size_t i = 0; i < read; ++i) {
      must(!same);
      must(cut.read(input.substr(i, 1), same, longest) == 1);
    }
    input.remove_prefix(read);
    must(line.has_value() == same.has_value());
    if (!line) continue;
    must(line->fault == same->fault && line->text == same->text);
    must(line->text.size() <= longest);
    must(line->text.find_first_of(std::string_view("\r\n\0", 3)) == std::string_view::npos);
    lines.emplace_back(line->text);
  }
  return lines;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  for (const std::string& line : lines_of(input, CommandReader::kLongest)) use_line(line);
  // No input is as long as the longest line.
  static_cast<void>(lines_of(input, 40));
  return 0;
}
