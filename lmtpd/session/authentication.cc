// AUTH (RFC 4954). The session speaks base64 and knows no mechanism: the backend runs the exchange.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "lmtpd/base/base64.h"
#include "lmtpd/base/capitals.h"
#include "lmtpd/base/log.h"
#include "lmtpd/base/sasl.h"
#include "lmtpd/session/session_impl.h"
#include "lmtpd/session/words.h"

namespace lmtpd::session {

std::vector<std::string> Session::Impl::mechanisms_offered() const {
  if (settings_.auth == AuthUse::none || needs_tls()) return {};
  std::vector<std::string> offered;
  for (const std::string& mechanism : settings_.auth_mechanisms) {
    if (tls_ || !sends_password(mechanism)) offered.push_back(mechanism);
  }
  return offered;
}

std::optional<FixedReply> Session::Impl::refusal_of_stranger() const {
  if (user_ || settings_.auth == AuthUse::none || settings_.auth == AuthUse::offered) return {};
  // The certificate is of who is connected: whom he names by XCLIENT is another.
  const bool has_certificate =
      peer_ == connected_ && tls_ && tls_->client == TlsFacts::Client::verified;
  if ((peer_.trusted || has_certificate) && settings_.auth == AuthUse::required_of_strangers) {
    return {};
  }
  return settings_.auth_mechanisms.empty() ? kNotTrusted : kAuthRequired;
}

void Session::Impl::on_auth(std::string_view argument) {
  if (settings_.auth == AuthUse::none || settings_.auth_mechanisms.empty()) {
    return answer(kNotImplemented);
  }
  if (user_) return answer(kBadSequence);
  if (argument.empty()) return answer(kNoArgument);
  std::string_view initial = argument;
  const std::string_view name = take_word(initial);
  mechanism_ = capitals(name.substr(0, kLongestMechanism + 1));
  if (std::ranges::find(settings_.auth_mechanisms, mechanism_) == settings_.auth_mechanisms.end()) {
    return answer(kUnknownMechanism);
  }
  if (!tls_ && sends_password(mechanism_)) return answer(kEncryptionRequired);

  // "=" is a response of no octets, none is no response.
  const std::optional<std::string> response = from_base64(initial == "=" ? "" : initial);
  if (!response) return answer(kNotBase64);
  const std::string& address = peer_.address.empty() ? client_ : peer_.address;
  AuthStart start{.address = address, .mechanism = mechanism_};
  if (!initial.empty()) start.response = *response;
  state_ = State::authenticating;
  backend_.start_auth(start);
}

void Session::Impl::take_auth_response(const CommandLine& line) {
  switch (line.fault) {
    case LineFault::too_long:
      return fail_auth(kResponseTooLong);
    case LineFault::bare_newline:
      return fail_auth(kBareNewline);
    case LineFault::nul:
      return fail_auth(kNulInCommand);
    case LineFault::none:
      break;
  }
  if (line.text == "*") return fail_auth(kAuthCancelled);
  const std::optional<std::string> response = from_base64(line.text);
  if (!response) return fail_auth(kNotBase64);
  state_ = State::authenticating;
  backend_.continue_auth(*response);
}

void Session::Impl::fail_auth(const Reply& reply) {
  backend_.end_auth();
  state_ = State::ready;
  answer(reply);
}

void Session::Impl::on_auth_step(AuthStep step) {
  if (state_ != State::authenticating) return;
  touch();
  if (step.kind == AuthStep::Kind::challenge) {
    state_ = State::challenged;
    if (overstays()) return close(kShutdown);
    output_ += fmt::format("334 {}\r\n", to_base64(step.text));
    return;
  }
  state_ = State::ready;
  if (step.kind == AuthStep::Kind::accepted) {
    user_ = std::move(step.text);
    backend_.count(Counter::auth_successes);
    answer(kAuthenticated);
  } else if (step.kind == AuthStep::Kind::refused) {
    backend_.count(Counter::auth_failures);
    answer(kWrongPassword);
  } else {
    backend_.count(Counter::auth_unavailable);
    answer(kCannotAuthenticate);
  }
  if (state_ == State::ready) enter_ready();
}

// As Postfix's smtpd(8) says it of a message.
void Session::Impl::log_sender() const {
  std::string line = fmt::format("{}: client={}, sasl_method={}, sasl_username={}",
                                 transaction_->id, client_, mechanism_, escaped(*user_));
  const std::optional<std::string>& submitter = transaction_->parameters.submitter;
  if (submitter && *submitter != "<>") line += fmt::format(", sasl_sender={}", escaped(*submitter));
  backend_.log(line);
}

}  // namespace lmtpd::session
