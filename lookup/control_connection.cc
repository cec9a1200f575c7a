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
  std::string_view argument;  // for the usage line; empty: none is taken, [in brackets]: it may be
  void (ControlConnection::*start)(std::string_view argument);
};

constexpr std::array kCommands = {
    Command{"resolve", "ADDRESS", &ControlConnection::resolve},
    Command{"explain", "ADDRESS", &ControlConnection::explain},
    Command{"flush", "[ADDRESS | @DOMAIN]", &ControlConnection::flush},
    Command{"status", "", &ControlConnection::show_status},
};

bool takes(const Command& command, std::string_view argument) {
  return command.argument.starts_with('[') || command.argument.empty() == argument.empty();
}

struct Statistic {
  std::string_view name;
  std::uint64_t LookupStatistics::* value;
};

// Names that scripts read: they stay.
constexpr std::array kStatistics = {
    Statistic{"cache_entries", &LookupStatistics::cache_entries},
    Statistic{"cache_octets", &LookupStatistics::cache_octets},
    Statistic{"cache_hits", &LookupStatistics::cache_hits},
    Statistic{"cache_misses", &LookupStatistics::cache_misses},
    Statistic{"cache_stale_hits", &LookupStatistics::cache_stale_hits},
    Statistic{"cache_driven_out", &LookupStatistics::cache_driven_out},
    Statistic{"cache_flushes", &LookupStatistics::cache_flushes},
    Statistic{"notices", &LookupStatistics::notices},
    Statistic{"notices_arrive", &LookupStatistics::notices_arrive},
    Statistic{"database_connections", &LookupStatistics::database_connections},
    Statistic{"database_queries", &LookupStatistics::database_queries},
    Statistic{"database_bursts", &LookupStatistics::database_bursts},
    Statistic{"database_failures", &LookupStatistics::database_failures},
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

ControlConnection::~ControlConnection() { service_.explainer.abandon(*this); }

void ControlConnection::on_readable(bufferevent*, void* self) noexcept {
  static_cast<ControlConnection*>(self)->read();
}

void ControlConnection::on_event(bufferevent*, short, void* self) noexcept {
  auto* connection = static_cast<ControlConnection*>(self);
  connection->owner_.on_closed(*connection);
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
    owner_.on_closed(*this);
  }
}

void ControlConnection::run(std::string_view line) {
  const std::size_t space = line.find(' ');
  const std::string_view name = line.substr(0, space);
  const std::string_view argument =
      space == std::string_view::npos ? std::string_view() : line.substr(space + 1);
  for (const Command& command : kCommands) {
    if (command.name != name || !takes(command, argument)) continue;
    busy_ = true;
    (this->*command.start)(argument);
    return;
  }
  answer(usage(), "");
}

void ControlConnection::resolve(std::string_view address) { start(address, false); }
void ControlConnection::explain(std::string_view address) { start(address, true); }

void ControlConnection::start(std::string_view text, bool with_steps) {
  const Result<Address> address = Address::parse(text);
  if (!address) return refuse(address.error(), "");
  with_steps_ = with_steps;
  if (const auto known = service_.explainer.explain(*address, *this, 0)) on_outcome(0, *known);
}

void ControlConnection::flush(std::string_view what) {
  if (what.empty()) {
    service_.cache.forget_all();
  } else if (what.starts_with('@')) {
    service_.cache.forget_domain(what.substr(1));
  } else {
    const Result<Address> address = Address::parse(what);
    if (!address) return refuse(address.error(), "");
    service_.cache.forget_address(*address);
  }
  answer(kControlOk, "");
}

void ControlConnection::show_status(std::string_view) {
  const LookupStatistics statistics = service_.cache.statistics();
  std::string lines;
  for (const Statistic& statistic : kStatistics) {
    lines += fmt::format("{} {}\n", statistic.name, statistics.*statistic.value);
  }
  for (const auto& [counter, name] : kCounterNames) {
    lines += fmt::format("{} {}\n", name, service_.counters.value(counter));
  }
  answer(kControlOk, lines);
}

void ControlConnection::on_outcome(std::uint64_t, const Explanation& explanation) {
  const Resolution& resolution = explanation.resolution;
  std::string lines;
  if (with_steps_) lines = fmt::format("{}\n", fmt::join(explanation.lines, "\n"));
  for (const Note& note : resolution.notes) {
    lines += fmt::format("note: {}\n", escaped(note.text, kLongestShown));
  }
  if (!resolution.mailboxes) return refuse(resolution.mailboxes.error(), lines);
  for (const ResolvedMailbox& mailbox : *resolution.mailboxes) {
    lines += fmt::format("path={}/{}/, uid={}, gid={}, delivered_to=<{}>\n", service_.mail_base,
                         escaped(mailbox.path.value(), kLongestShown), mailbox.owner.uid.value(),
                         mailbox.owner.gid.value(), escaped(mailbox.delivered_to, kLongestShown));
  }
  answer(kControlOk, lines);
}

void ControlConnection::refuse(const Error& error, std::string_view lines) {
  answer(fmt::format("{} {} {}", kControlError, static_cast<int>(error.reason),
                     escaped(error.text, kLongestShown)),
         lines);
}

void ControlConnection::answer(std::string_view first, std::string_view lines) {
  busy_ = false;
  const std::string text = fmt::format("{}\n{}{}\n", first, lines, kControlEnd);
  bufferevent_write(buffer_.get(), text.data(), text.size());
  // What came meanwhile, from the loop: an answer may be given in the midst of read().
  bufferevent_trigger(buffer_.get(), EV_READ, BEV_OPT_DEFER_CALLBACKS);
}

}  // namespace lmtpd::lookup
