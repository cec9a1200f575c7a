// bench/session_bench.cc -- what the protocol costs: lmtpd/session alone, without sockets, lookups
// or disks; its Backend answers at once.
//
//   workload                   what it is
//   transaction/1, /50         MAIL, that many RCPTs, DATA and a 4 KiB message, in the two writes
//   that
//                              Postfix makes of them, up to the last reply; items are recipients
//   command_line/65536, /64    a pipelined group of 50 RCPTs cut into lines, offered in pieces of
//   that
//                              many octets; items are lines
//   path                       one RCPT argument with ORCPT: path, parameters, address
//   data/4096 .. /1048576      a message of lines of 70 octets, in reads of 64 KiB
//   data_dots                  the same of 64 KiB where every line is stuffed
//   data_headers               64 KiB of header fields
//   data_chunk/0, /1           64 KiB of lines in one chunk of BDAT, as text and as BINARYMIME
//   data_memcpy/..             a copy of as many octets: what the body reader is to be compared
//   with
//
// CPU time is all there is here.

#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstring>
#include <ctime>
#include <string>
#include <utility>
#include <vector>

#include "lmtpd/base/address.h"
#include "lmtpd/session/body_reader.h"
#include "lmtpd/session/command_reader.h"
#include "lmtpd/session/parameters.h"
#include "lmtpd/session/path_parser.h"
#include "lmtpd/session/session.h"

namespace lmtpd::session {
namespace {

constexpr std::size_t kReadSize = 64 * 1024;

std::string message(std::size_t size, std::string_view line) {
  std::string out = "Subject: benchmark\r\nMessage-ID: <1@example.org>\r\n\r\n";
  while (out.size() < size) out += line;
  return out + ".\r\n";
}

const std::string kLine = std::string(68, 'x') + "\r\n";

// Answers as soon as the session has returned.
class PromptBackend final : public Backend {
 public:
  Clock::time_point now() override { return Clock::now(); }
  std::time_t wall_clock() override { return std::time(nullptr); }
  bool is_trusted(const std::string&) override { return false; }
  bool may_send_mail() override { return true; }
  void start_resolve(std::uint64_t id, const Address& recipient) override {
    resolves_.emplace_back(id, recipient.external());
  }
  void start_auth(const AuthStart&) override {}
  void continue_auth(std::string_view) override {}
  void end_auth() override {}
  bool hold_recipients(std::uint64_t) override { return true; }
  void free_recipients(std::uint64_t) override {}
  void start_body(std::uint64_t id, std::uint64_t, std::size_t) override { ready_ = id; }
  bool append_body(std::uint64_t, std::string_view octets) override {
    body_ += octets;
    return true;
  }
  void drop_body(std::uint64_t) override { body_.clear(); }
  void start_delivery(std::uint64_t id, std::vector<Copy> copies) override {
    delivery_ = id;
    copies_ = copies.size();
    body_.clear();
  }
  void count(Counter counter) override {
    if (counter == Counter::messages_stored) ++stored_;
  }
  void log(std::string_view line) override { benchmark::DoNotOptimize(line.data()); }

  void answer(Session& session) {
    for (auto& [id, address] : std::exchange(resolves_, {})) {
      session.on_resolved(id, std::vector<Mailbox>{{"ticket", address, address}});
    }
    if (const std::uint64_t id = std::exchange(ready_, 0)) session.on_body_ready(id);
    const std::size_t copies = std::exchange(copies_, 0);
    for (std::size_t i = 0; i < copies; ++i) session.on_copy_done(delivery_, i, {});
  }

  [[nodiscard]] std::uint64_t stored() const { return stored_; }

 private:
  std::vector<std::pair<std::uint64_t, std::string>> resolves_;
  std::uint64_t ready_ = 0;
  std::uint64_t delivery_ = 0;
  std::size_t copies_ = 0;
  std::uint64_t stored_ = 0;  // messages
  std::string body_;
};

void send(Session& session, PromptBackend& backend, std::string_view octets) {
  while (!octets.empty()) {
    octets.remove_prefix(session.consume(octets));
    backend.answer(session);
  }
  backend.answer(session);
}

void transaction(benchmark::State& state) {
  Settings settings;
  settings.hostname = "mx.example.org";
  PromptBackend backend;
  Session session(settings, "1A2B3C", Peer{}, backend);
  send(session, backend, "LHLO client.example.org\r\n");
  std::string envelope = "MAIL FROM:<sender@example.org> SIZE=4096\r\n";
  for (std::int64_t i = 0; i < state.range(0); ++i) {
    envelope += "RCPT TO:<user" + std::to_string(i) + "@domain.org>\r\n";
  }
  envelope += "DATA\r\n";
  const std::string data = message(4096, kLine);
  for ([[maybe_unused]] auto _ : state) {
    send(session, backend, envelope);
    send(session, backend, data);
    benchmark::DoNotOptimize(session.take_output());
  }
  if (backend.stored() != static_cast<std::uint64_t>(state.iterations()))
    state.SkipWithError("not every message was stored");
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(transaction)->Arg(1)->Arg(50);

void command_line(benchmark::State& state) {
  std::string group;
  for (int i = 0; i < 50; ++i) group += "RCPT TO:<user" + std::to_string(i) + "@domain.org>\r\n";
  const auto piece = static_cast<std::size_t>(state.range(0));
  CommandReader reader;
  std::int64_t lines = 0;
  for ([[maybe_unused]] auto _ : state) {
    std::string_view rest = group;
    while (!rest.empty()) {
      std::optional<CommandLine> line;
      rest.remove_prefix(reader.read(rest.substr(0, piece), line));
      if (line) ++lines;
      benchmark::DoNotOptimize(line);
    }
  }
  state.SetItemsProcessed(lines);
}
BENCHMARK(command_line)->Arg(65536)->Arg(64);

void path(benchmark::State& state) {
  for ([[maybe_unused]] auto _ : state) {
    const auto parsed =
        parse_path("TO:<first.last+tag@sub.example.org> ORCPT=rfc822;first+2Elast@x.org",
                   "TO:", false, kBadRecipient);
    auto parameters = parse_rcpt_parameters(parsed->parameters);
    auto address = Address::parse(parsed->mailbox);
    benchmark::DoNotOptimize(parameters);
    benchmark::DoNotOptimize(address);
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(path);

void read_data(benchmark::State& state, const std::string& text) {
  for ([[maybe_unused]] auto _ : state) {
    BodyReader reader(BodyReader::Framing::dots);
    std::string_view rest = text;
    while (!reader.ended()) {
      rest.remove_prefix(reader.read(rest.substr(0, kReadSize)));
      benchmark::DoNotOptimize(reader.output().data());
    }
  }
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(text.size()));
}

void data(benchmark::State& state) {
  read_data(state, message(static_cast<std::size_t>(state.range(0)), kLine));
}
BENCHMARK(data)->Arg(4096)->Arg(65536)->Arg(1048576);

void data_dots(benchmark::State& state) {
  read_data(state, message(kReadSize, ".." + kLine.substr(2)));
}
BENCHMARK(data_dots);

void data_headers(benchmark::State& state) {
  std::string text;
  while (text.size() < kReadSize) text += "X-Header: " + kLine.substr(10);
  read_data(state, text + "\r\n.\r\n");
}
BENCHMARK(data_headers);

void data_chunk(benchmark::State& state) {
  const std::string text = message(kReadSize, kLine);
  const auto line_ends =
      state.range(0) == 0 ? BodyReader::LineEnds::lf : BodyReader::LineEnds::as_sent;
  for ([[maybe_unused]] auto _ : state) {
    BodyReader reader(BodyReader::Framing::chunks, line_ends);
    reader.begin_chunk(text.size(), true);
    std::string_view rest = text;
    while (!reader.ended()) {
      rest.remove_prefix(reader.read(rest.substr(0, kReadSize)));
      benchmark::DoNotOptimize(reader.output().data());
    }
  }
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(text.size()));
}
BENCHMARK(data_chunk)->Arg(0)->Arg(1);

void data_memcpy(benchmark::State& state) {
  const std::string text = message(static_cast<std::size_t>(state.range(0)), kLine);
  std::string copy(kReadSize, '\0');
  for ([[maybe_unused]] auto _ : state) {
    for (std::size_t at = 0; at < text.size(); at += kReadSize) {
      std::memcpy(copy.data(), text.data() + at, std::min(kReadSize, text.size() - at));
      benchmark::DoNotOptimize(copy.data());
      benchmark::ClobberMemory();
    }
  }
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(text.size()));
}
BENCHMARK(data_memcpy)->Arg(4096)->Arg(65536)->Arg(1048576);

}  // namespace
}  // namespace lmtpd::session

BENCHMARK_MAIN();
