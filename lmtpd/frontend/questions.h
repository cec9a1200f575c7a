// lmtpd/frontend/questions.h -- what a connection asks of lookup.
//
// Each question is answered once, later, to whom LookupLink knows as its Asker, by `connection`'s
// name. LookupLink answers them; it says when, and how it fails.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "lmtpd/session/session.h"

namespace lmtpd::frontend {

class Questions {
 public:
  // -> on_resolved(). `request` is the connection's own, `client` as ClientPlace has it.
  virtual void resolve(std::uint64_t connection, std::uint64_t request, const std::string& client,
                       std::string address) = 0;
  // The connection is gone, and asks for no recipient more.
  virtual void abandon(std::uint64_t connection) = 0;

  // A connection has one exchange at a time: begin_auth() and respond_auth() -> each
  // on_auth_step().
  virtual void begin_auth(std::uint64_t connection, const session::AuthStart& start) = 0;
  virtual void respond_auth(std::uint64_t connection, std::string_view response) = 0;
  // Nothing more is told.
  virtual void end_auth(std::uint64_t connection) = 0;

 protected:
  ~Questions() = default;
};

}  // namespace lmtpd::frontend
