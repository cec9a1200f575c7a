#include "bench/blast/report.h"

#include <fmt/format.h>

#include <array>
#include <string_view>
#include <utility>

namespace lmtpd::blast {
namespace {

constexpr std::array<std::pair<std::string_view, double>, 4> kPercentiles{
    {{"p50", 50}, {"p90", 90}, {"p99", 99}, {"p99.9", 99.9}}};

double milliseconds(std::uint64_t nanoseconds) { return static_cast<double>(nanoseconds) / 1e6; }

double per_second(std::uint64_t count, double seconds) {
  return seconds > 0 ? static_cast<double>(count) / seconds : 0;
}

std::string json_string(std::string_view text) {
  std::string result = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      result += '\\';
      result += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      result += fmt::format("\\u{:04x}", c);
    } else {
      result += c;
    }
  }
  return result + '"';
}

std::string latency_text(const Histogram& histogram) {
  std::string line;
  for (const auto& [name, percent] : kPercentiles) {
    line += fmt::format("{} {:.3f}  ", name, milliseconds(histogram.percentile(percent)));
  }
  return line + fmt::format("max {:.3f} ms", milliseconds(histogram.max()));
}

std::string latency_json(const Histogram& histogram) {
  std::string object = "{";
  for (const auto& [name, percent] : kPercentiles) {
    object += fmt::format("\"{}\": {:.4f}, ", name, milliseconds(histogram.percentile(percent)));
  }
  return object + fmt::format("\"mean\": {:.4f}, \"max\": {:.4f}}}", milliseconds(histogram.mean()),
                              milliseconds(histogram.max()));
}

}  // namespace

std::string Report::text() const {
  const double seconds = totals.seconds();
  std::string text = fmt::format(
      "run {} to {}: {} connections, {} messages of {} octets to {} recipients each, {}\n", run,
      options.target.text(), options.connections, totals.messages, options.size, options.recipients,
      pipelining ? "pipelined" : "not pipelined");
  text += fmt::format("{} deliveries in {:.3f} s: {:.1f} deliveries/s, {:.1f} messages/s\n",
                      totals.stored, seconds, per_second(totals.stored, seconds),
                      per_second(totals.message_latency.count(), seconds));
  if (options.allow_tempfail) text += fmt::format("{} tempfailed\n", totals.tempfailed);
  if (totals.stored == 0) return text;
  text += fmt::format("message latency   {}\n", latency_text(totals.message_latency));
  text += fmt::format("delivery latency  {}\n", latency_text(totals.delivery_latency));
  return text;
}

std::string Report::json() const {
  const double seconds = totals.seconds();
  return fmt::format(
      "{{\"run\": {}, \"target\": {}, \"connections\": {}, \"size\": {}, "
      "\"recipients_per_message\": {}, \"reuse\": {}, \"pipelining\": {}, \"connects\": {}, "
      "\"messages\": {}, \"deliveries\": {}, \"tempfailed\": {}, \"seconds\": {:.6f}, "
      "\"deliveries_per_second\": {:.2f}, \"messages_per_second\": {:.2f}, "
      "\"message_latency_ms\": {}, \"delivery_latency_ms\": {}, \"failure\": {}}}\n",
      json_string(run), json_string(options.target.text()), options.connections, options.size,
      options.recipients, options.reuse, pipelining, totals.connects, totals.messages,
      totals.stored, totals.tempfailed, seconds, per_second(totals.stored, seconds),
      per_second(totals.message_latency.count(), seconds), latency_json(totals.message_latency),
      latency_json(totals.delivery_latency), failure.empty() ? "null" : json_string(failure));
}

}  // namespace lmtpd::blast
