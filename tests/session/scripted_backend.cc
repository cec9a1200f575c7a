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

void ScriptedBackend::owe(Duration after, Answer answer) {
  answer.due = now_ + after;
  const auto place = std::ranges::upper_bound(owed_, answer.due, {}, &Answer::due);
  owed_.insert(place, std::move(answer));
}

void ScriptedBackend::start_resolve(std::uint64_t id, const Address& recipient) {
  resolve(id, recipient.external());
}

void ScriptedBackend::resolve(std::uint64_t id, const std::string& address) {
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

bool ScriptedBackend::hold_recipients(std::uint64_t octets) {
  if (held + octets > most_held) return false;
  held += octets;
  return true;
}

void ScriptedBackend::free_recipients(std::uint64_t octets) {
  if (octets > held) breach("free_recipients() of more than is held");
  held -= octets;
}

void ScriptedBackend::start_body(std::uint64_t id, std::uint64_t octets, std::size_t copies) {
  if (!bodies_.empty()) breach("a second body");
  body_sizes.push_back(octets);
  body_copies.push_back(copies);
  bodies_[id] = {};
  owe(body_after, {{}, refuse_body ? Kind::body_refused : Kind::body_ready, id, 0, {}});
}

bool ScriptedBackend::append_body(std::uint64_t id, std::string_view octets) {
  appended.push_back(octets.size());
  if (const auto found = bodies_.find(id); found != bodies_.end()) found->second.octets += octets;
  return grow_body(id, octets.size());
}

bool ScriptedBackend::book_body(std::uint64_t id, std::uint64_t octets) {
  if (bodies_.contains(id)) return grow_body(id, octets);
  start_body(id, octets, 0);
  bodies_[id].size = octets;
  return false;
}

bool ScriptedBackend::grow_body(std::uint64_t id, std::size_t octets) {
  const auto found = bodies_.find(id);
  if (found == bodies_.end()) {
    breach("append_body() to no body");
    return true;
  }
  Body& body = found->second;
  if (body.state != BodyState::open) breach("append_body() before on_body_ready()");
  body.size += octets;
  const bool refused = body.size >= refuse_at;
  if (!refused && body.size < full_at) return true;
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
