#include "lmtpd/session/patience.h"

#include <algorithm>

namespace lmtpd::session {
namespace {

constexpr std::uint64_t kFairChunk = 64 * 1024;  // octets: who sends smaller ones may be shown out

}  // namespace

Patience::Patience(const Settings& settings)
    : error_limit_(settings.error_limit),
      junk_command_limit_(settings.junk_command_limit),
      recipient_limit_(settings.recipient_limit) {}

bool Patience::take_command(MessageStep step, bool in_turn) {
  if (step == MessageStep::first) {
    strays_ = 0;
    stray_octets_ = 0;
  } else if (step == MessageStep::further) {
    if (in_turn) {
      junk_commands_ = 0;
      return true;
    }
    if (++strays_ <= recipient_limit_ + 1 + stray_octets_ / kFairChunk) return true;
  }
  return ++junk_commands_ <= junk_command_limit_;
}

void Patience::begin_stray_chunk(std::uint64_t octets, Clock::time_point now) {
  if (stray_octets_ == 0) strays_since_ = now;
  stray_octets_ += octets;
  stray_octets_due_ = octets;
}

std::size_t Patience::take_stray_octets(std::size_t offered) {
  const std::size_t taken = std::min<std::uint64_t>(offered, stray_octets_due_);
  stray_octets_due_ -= taken;
  return taken;
}

}  // namespace lmtpd::session
