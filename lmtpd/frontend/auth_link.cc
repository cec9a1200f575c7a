#include "lmtpd/frontend/auth_link.h"

#include <string>
#include <utility>
#include <vector>

namespace lmtpd::frontend {
namespace {

// At the next expire().
constexpr Clock::time_point kAtOnce = Clock::time_point::min();

}  // namespace

void AuthLink::begin(EventChannel* channel, std::uint64_t connection,
                     const session::AuthStart& start) {
  Exchange& exchange = exchanges_[connection];
  exchange = {++last_id_, kAtOnce};
  if (channel == nullptr) return;
  connections_.emplace(exchange.id, connection);
  exchange.deadline = Clock::now() + kDeadline;
  channel->send(Authenticate{.id = exchange.id,
                             .address = start.address,
                             .mechanism = start.mechanism,
                             .has_response = start.response.has_value(),
                             .response = start.response.value_or("")});
}

void AuthLink::respond(EventChannel* channel, std::uint64_t connection, std::string_view response) {
  const auto found = exchanges_.find(connection);
  // It is over; its client hears of it now.
  if (found == exchanges_.end() || channel == nullptr) {
    exchanges_[connection].deadline = kAtOnce;
    return;
  }
  found->second.deadline = Clock::now() + kDeadline;
  channel->send(AuthResponse{.id = found->second.id, .response = response});
}

void AuthLink::end(EventChannel* channel, std::uint64_t connection) {
  const auto found = exchanges_.find(connection);
  if (found == exchanges_.end()) return;
  if (connections_.erase(found->second.id) > 0 && channel != nullptr) {
    channel->send(AuthEnd{.id = found->second.id});
  }
  exchanges_.erase(found);
}

bool AuthLink::take(const Frame& frame) {
  const std::optional<AuthStep> message =
      static_cast<MessageType>(frame.type) == MessageType::auth_step
          ? decode<AuthStep>(frame.payload)
          : std::nullopt;
  if (!message || message->id == 0 || message->id > last_id_) return false;
  const auto connection = connections_.find(message->id);
  // Late: the exchange was ended meanwhile.
  if (connection == connections_.end()) return true;
  const auto exchange = exchanges_.find(connection->second);
  const auto kind = static_cast<AuthStep::Kind>(message->kind);
  if (!exchange->second.deadline) {
    if (kind != AuthStep::Kind::unavailable) return false;
    exchanges_.erase(exchange);
    connections_.erase(connection);
    return true;
  }
  const std::string text(message->text);
  switch (kind) {
    case AuthStep::Kind::challenge:
      exchange->second.deadline.reset();
      asker_.on_auth_step(connection->second, {session::AuthStep::Kind::challenge, text});
      return true;
    case AuthStep::Kind::accepted:
      finish(exchange, {session::AuthStep::Kind::accepted, text});
      return true;
    case AuthStep::Kind::refused:
      finish(exchange, {session::AuthStep::Kind::refused, {}});
      return true;
    case AuthStep::Kind::unavailable:
      finish(exchange, {session::AuthStep::Kind::unavailable, {}});
      return true;
  }
  return false;
}

void AuthLink::finish(Exchanges::iterator exchange, session::AuthStep step) {
  const std::uint64_t connection = exchange->first;
  connections_.erase(exchange->second.id);
  exchanges_.erase(exchange);
  asker_.on_auth_step(connection, std::move(step));
}

// Where it is the client's turn, the client hears of it at its next response.
void AuthLink::on_channel_lost() {
  connections_.clear();
  std::erase_if(exchanges_, [](const auto& entry) { return !entry.second.deadline; });
  expire(nullptr, Clock::time_point::max());
}

void AuthLink::expire(EventChannel* channel, Clock::time_point now) {
  std::vector<std::uint64_t> late;
  for (const auto& [connection, exchange] : exchanges_) {
    if (exchange.deadline && *exchange.deadline <= now) late.push_back(connection);
  }
  for (const std::uint64_t connection : late) {
    end(channel, connection);
    asker_.on_auth_step(connection, {session::AuthStep::Kind::unavailable, {}});
  }
}

}  // namespace lmtpd::frontend
