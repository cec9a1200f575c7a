#include "tests/session/scripted_backend.h"

#include <algorithm>
#include <utility>

namespace lmtpd::session {

void ScriptedBackend::add_mailbox(std::string_view address, const std::vector<std::string>& paths,
                                  std::string_view final_address, Duration after) {
  std::vector<Mailbox> mailboxes;
  for (const std::string& path : paths) {
    mailboxes.push_back({path, path, std::string(final_address.empty() ? address : final_address)});
  }
  recipients.insert_or_assign(std::string(address), Resolution{std::move(mailboxes), after});
}

bool ScriptedBackend::answer_next(Session& session) {
  if (owed_.empty()) return false;
  const Answer answer = std::move(owed_.front());
  owed_.erase(owed_.begin());
  now_ = std::max(now_, answer.due);
  give(session, answer);
  return true;
}

void ScriptedBackend::answer_due(Session& session) {
  while (!owed_.empty() && owed_.front().due <= now_) answer_next(session);
}

void ScriptedBackend::owe(Duration after, Answer answer) {
  answer.due = now_ + after;
  const auto place = std::ranges::upper_bound(owed_, answer.due, {}, &Answer::due);
  owed_.insert(place, std::move(answer));
}

void ScriptedBackend::give(Session& session, const Answer& answer) {
  switch (answer.kind) {
    case Kind::resolved: {
      const auto found = recipients.find(answer.key);
      session.on_resolved(answer.id, found == recipients.end() ? fail(Reason::unknown_user, "")
                                                               : found->second.mailboxes);
      return;
    }
    case Kind::auth_step: {
      if (exchange_ != Exchange::backends_turn || answer.id != auth_turn_) return;
      const AuthStep step = auth_steps_taken_ < auth_steps.size()
                                ? auth_steps[auth_steps_taken_++]
                                : AuthStep{AuthStep::Kind::unavailable, {}};
      exchange_ = step.kind == AuthStep::Kind::challenge ? Exchange::clients_turn : Exchange::none;
      session.on_auth_step(step);
      return;
    }
    case Kind::body_ready:
      if (!bodies_.contains(answer.id)) return;
      bodies_[answer.id].state = BodyState::open;
      session.on_body_ready(answer.id);
      return;
    case Kind::body_refused:
      if (bodies_.erase(answer.id) == 0) return;
      session.on_body_refused(answer.id, refuse_body.value_or(Error{Reason::no_space, "no space"}));
      return;
    case Kind::copy_done: {
      const auto found = outcomes.find(answer.key);
      session.on_copy_done(answer.id, answer.copy,
                           found == outcomes.end() ? Result<void>() : found->second.result);
      return;
    }
  }
}

void ScriptedBackend::start_resolve(std::uint64_t id, const Address& recipient) {
  const std::string address = recipient.external();
  resolves.push_back(address);
  const auto found = recipients.find(address);
  owe(found == recipients.end() ? Duration(0) : found->second.after,
      {{}, Kind::resolved, id, 0, address});
}

void ScriptedBackend::start_auth(const AuthStart& start) {
  if (exchange_ != Exchange::none) breach("a second exchange");
  auth_messages.emplace_back(start.mechanism);
  if (start.response) auth_messages.back() += ":" + std::string(*start.response);
  owe_auth_step();
}

void ScriptedBackend::continue_auth(std::string_view response) {
  if (exchange_ != Exchange::clients_turn) breach("continue_auth() out of turn");
  auth_messages.push_back(":" + std::string(response));
  owe_auth_step();
}

void ScriptedBackend::end_auth() {
  if (exchange_ == Exchange::none) breach("end_auth() of no exchange");
  exchange_ = Exchange::none;
  auth_messages.emplace_back("end");
}

void ScriptedBackend::owe_auth_step() {
  exchange_ = Exchange::backends_turn;
  owe(Duration(0), {{}, Kind::auth_step, ++auth_turn_, 0, {}});
}

void ScriptedBackend::start_body(std::uint64_t id, std::uint64_t octets, std::size_t copies) {
  if (!bodies_.empty()) breach("a second body");
  body_sizes.push_back(octets);
  body_copies.push_back(copies);
  bodies_[id] = {};
  owe(body_after, {{}, refuse_body ? Kind::body_refused : Kind::body_ready, id, 0, {}});
}

bool ScriptedBackend::append_body(std::uint64_t id, std::string_view octets) {
  const auto found = bodies_.find(id);
  if (found == bodies_.end()) {
    breach("append_body() to no body");
    return true;
  }
  Body& body = found->second;
  if (body.state != BodyState::open) breach("append_body() before on_body_ready()");
  appended.push_back(octets.size());
  body.octets += octets;
  const bool refused = body.octets.size() >= refuse_at;
  if (!refused && body.octets.size() < full_at) return true;
  body.state = BodyState::full;
  owe(body_after, {{}, refused ? Kind::body_refused : Kind::body_ready, id, 0, {}});
  full_at = SIZE_MAX;
  return false;
}

void ScriptedBackend::drop_body(std::uint64_t id) {
  if (bodies_.erase(id) == 0) breach("drop_body() of no body");
  ++bodies_dropped;
}

void ScriptedBackend::start_delivery(std::uint64_t id, std::vector<Copy> copies) {
  const auto found = bodies_.find(id);
  if (found == bodies_.end() || found->second.state != BodyState::open) {
    breach("start_delivery() of no body, or of one that is not ready");
    return;
  }
  if (copies.empty()) breach("start_delivery() without copies");
  for (std::size_t i = 0; i < copies.size(); ++i) {
    const Copy& copy = copies[i];
    stored.push_back({copy.ticket, copy.headers + found->second.octets, copy.wire_size});
    const auto outcome = outcomes.find(copy.ticket);
    owe(outcome == outcomes.end() ? Duration(0) : outcome->second.after,
        {{}, Kind::copy_done, id, i, copy.ticket});
  }
  bodies_.erase(found);
}

}  // namespace lmtpd::session
