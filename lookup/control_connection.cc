#include "lookup/control_connection.h"

#include <event2/buffer.h>
#include <event2/event.h>
#include <fmt/format.h>

#include <array>
#include <cstdlib>

#include "lmtpd/base/address.h"
#include "lmtpd/base/control_protocol.h"
#include "lmtpd/base/log.h"

namespace lmtpd::lookup {
namespace {

constexpr timeval kIdleTime{60, 0};
constexpr std::size_t kLongestShown = 4096;

struct Command {
  std::string_view name;
  std::string_view argument;  // for the usage line; empty: none is taken
  void (ControlConnection::*start)(std::string_view argument);
};

constexpr std::array kCommands = {
    Command{"resolve", "ADDRESS", &ControlConnection::start_resolve},
};

std::string usage() {
  std::string text(kControlUsage);
  for (const Command& command : kCommands) {
    text += fmt::format("{} {}{}{}", &command == kCommands.data() ? "" : ",", command.name,
                        command.argument.empty() ? "" : " ", command.argument);
  }
  return text;
}

}  // namespace

ControlConnection::ControlConnection(event_base* base, UniqueFd socket, Service& service,
                                     Owner& owner)
    : buffer_(bufferevent_socket_new(base, socket.release(), BEV_OPT_CLOSE_ON_FREE)),
      service_(service),
      owner_(owner) {
  bufferevent_setcb(buffer_.get(), on_readable, nullptr, on_event, this);
  bufferevent_set_timeouts(buffer_.get(), &kIdleTime, &kIdleTime);
  bufferevent_setwatermark(buffer_.get(), EV_READ, 0, kLongestControlLine);
  bufferevent_enable(buffer_.get(), EV_READ | EV_WRITE);
}

ControlConnection::~ControlConnection() { service_.resolver.abandon(*this); }

void ControlConnection::on_readable(bufferevent*, void* self) noexcept {
  static_cast<ControlConnection*>(self)->read();
}

void ControlConnection::on_event(bufferevent*, short, void* self) noexcept {
  auto* connection = static_cast<ControlConnection*>(self);
  connection->owner_.on_control_closed(*connection);
}

void ControlConnection::read() {
  evbuffer* input = bufferevent_get_input(buffer_.get());
  while (!busy_) {
    std::size_t size = 0;
    char* line = evbuffer_readln(input, &size, EVBUFFER_EOL_CRLF);
    if (line == nullptr) break;
    const std::string text(line, size);
    std::free(line);
    run(text);
  }
  if (!busy_ && evbuffer_get_length(input) >= kLongestControlLine) {
    owner_.on_control_closed(*this);
  }
}

void ControlConnection::run(std::string_view line) {
  const std::size_t space = line.find(' ');
  const std::string_view name = line.substr(0, space);
  const std::string_view argument =
      space == std::string_view::npos ? std::string_view() : line.substr(space + 1);
  for (const Command& command : kCommands) {
    if (command.name != name || command.argument.empty() != argument.empty()) continue;
    busy_ = true;
    (this->*command.start)(argument);
    return;
  }
  answer(usage(), "");
}

void ControlConnection::start_resolve(std::string_view text) {
  const Result<Address> address = Address::parse(text);
  if (!address) {
    on_resolution(0, {tl::unexpected(address.error()), {}});
    return;
  }
  if (const std::optional<Resolution> known = service_.resolver.resolve(*address, *this, 0)) {
    on_resolution(0, *known);
  }
}

void ControlConnection::on_resolution(std::uint64_t, const Resolution& resolution) {
  std::string lines;
  for (const std::string& note : resolution.notes) {
    lines += fmt::format("note: {}\n", escaped(note, kLongestShown));
  }
  if (!resolution.mailboxes) {
    const Error& error = resolution.mailboxes.error();
    answer(fmt::format("{} {} {}", kControlError, static_cast<int>(error.reason),
                       escaped(error.text, kLongestShown)),
           lines);
    return;
  }
  for (const ResolvedMailbox& mailbox : *resolution.mailboxes) {
    lines += fmt::format("path={}/{}/, uid={}, gid={}, delivered_to=<{}>\n", service_.mail_base,
                         escaped(mailbox.path.value(), kLongestShown), mailbox.owner.uid.value(),
                         mailbox.owner.gid.value(), escaped(mailbox.delivered_to, kLongestShown));
  }
  answer(kControlOk, lines);
}

void ControlConnection::answer(std::string_view first, std::string_view lines) {
  busy_ = false;
  const std::string text = fmt::format("{}\n{}{}\n", first, lines, kControlEnd);
  bufferevent_write(buffer_.get(), text.data(), text.size());
  // What came meanwhile, from the loop: an answer may be given in the midst of read().
  bufferevent_trigger(buffer_.get(), EV_READ, BEV_OPT_DEFER_CALLBACKS);
}

}  // namespace lmtpd::lookup
