#include "tests/frontend/scripted_services.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <utility>

#include "lmtpd/session/trace.h"
#include "tests/session/reference_data.h"

namespace lmtpd::frontend {
namespace {

// A Connection, by the names that a Session has for its answers.
struct Asker {
  Connection& connection;

  void on_resolved(std::uint64_t id, Result<std::vector<session::Mailbox>> mailboxes) {
    connection.on_resolved(id, std::move(mailboxes));
  }
  void on_auth_step(session::AuthStep step) { connection.on_auth_step(std::move(step)); }
  void on_body_ready(std::uint64_t id) { connection.on_booked(id); }
  void on_body_refused(std::uint64_t id, const Error&) { connection.on_booking_refused(id); }
  void on_copy_done(std::uint64_t id, std::size_t copy, Result<void> outcome) {
    connection.on_copy_done(id, copy, std::move(outcome));
  }
};

std::string octets_of(const Body& body) {
  if (body.is_inline()) return std::string(body.inline_octets());
  std::string octets(body.size(), '\0');
  const UniqueFd file = body.duplicate_file();
  EXPECT_EQ(::pread(file.get(), octets.data(), octets.size(), 0),
            static_cast<ssize_t>(octets.size()));
  return octets;
}

}  // namespace

ScriptedServices::ScriptedServices(session::ScriptedBackend& backend, bool unsaid_tls)
    : backend_(backend), unsaid_tls_(unsaid_tls) {
  MatchList trusted;
  for (const std::string& address : backend_.trusted_clients) trusted.push_back({.name = address});
  trusted_clients_ = *NetworkList::make(trusted);
  if (backend_.mails_refused == 0) return;
  others_.emplace(places_, "others");
  EXPECT_TRUE(others_->hold());
}

bool ScriptedServices::answer_next(Connection& connection) {
  Asker asker{connection};
  return backend_.answer_next(asker);
}

void ScriptedServices::resolve(std::uint64_t, std::uint64_t request, const std::string&,
                               std::string address) {
  backend_.resolve(request, address);
}

void ScriptedServices::begin_auth(std::uint64_t, const session::AuthStart& start) {
  backend_.start_auth(start);
}

void ScriptedServices::respond_auth(std::uint64_t, std::string_view response) {
  backend_.continue_auth(response);
}

void ScriptedServices::end_auth(std::uint64_t) { backend_.end_auth(); }

bool ScriptedServices::book(const MessageName& message, std::uint64_t octets) {
  return backend_.book_body(message.body, octets);
}

// A body that was refused is gone already.
void ScriptedServices::release(const MessageName& message) {
  if (backend_.has_body(message.body)) backend_.drop_body(message.body);
}

void ScriptedServices::deliver(const MessageName& message, Body octets,
                               std::vector<session::Copy> copies) {
  backend_.fill_body(message.body, octets_of(octets));
  for (session::Copy& copy : copies) copy = as_scripted(std::move(copy));
  backend_.start_delivery(message.body, std::move(copies));
}

void ScriptedServices::log(std::string_view line) {
  backend_.log(line);
  if (places_.refused().in_all >= backend_.mails_refused) others_.reset();
}

session::Copy ScriptedServices::as_scripted(session::Copy copy) const {
  const std::size_t before = session::wire_size(copy.headers);
  std::string& headers = copy.headers;
  // Received is the last of them, its date the last of it.
  const std::size_t date = headers.rfind('\t') + 1;
  headers.replace(date, headers.find_first_of("\r\n", date) - date,
                  session::date_time(backend_.wall_clock()));
  if (unsaid_tls_) {
    for (const std::string_view comment :
         {"\t(using TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits))",
          "\t(No client certificate requested)"}) {
      const std::size_t at = headers.find(comment);
      EXPECT_NE(at, std::string::npos) << headers;
      headers.erase(at, headers.find('\t', at + 1) - at);
    }
    const std::size_t protocol = headers.find("LMTPS", headers.find("\tby mx.test with "));
    EXPECT_NE(protocol, std::string::npos) << headers;
    headers.erase(protocol + 4, 1);
  }
  copy.wire_size -= before - session::wire_size(headers);
  return copy;
}

}  // namespace lmtpd::frontend
