// Whom lookup answers beside frontends, and when: lmtpctl and Postfix, from Serve on, and Postfix
// until Retire.
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <array>
#include <csignal>
#include <optional>

#include "tests/base/unix_listener.h"
#include "tests/lookup/role_site.h"

namespace lmtpd::lookup {
namespace {

constexpr std::string_view kQuestion = "18:mailbox user@d.org,";
constexpr std::string_view kAnswer = "14:OK d.org/user/,";

struct Places {
  UnixListener control, maps;
  Role::Listeners open() {
    Role::Listeners listeners;
    listeners.control = control.open(10);
    listeners.socketmap.push_back(maps.open(10));
    return listeners;
  }
};

// The base class before: what it opens goes into the role.
class LookupListeners : public testing::Test, private Places, protected RoleSite {
 protected:
  LookupListeners()
      : RoleSite(
            make_ticket_key(), {}, [](const StoredPassword&, std::string_view) { return false; },
            kAuthWindow, Places::open()) {
    mailbox_.add("user@d.org", "d.org/user/");
    std::signal(SIGPIPE, SIG_IGN);  // as begin_role()
  }

  template <class Message>
  void tell(const Message& message) {
    master_->send(message);
    EXPECT_EQ(master_->flush(), Channel::Status::ok);
    turn();
  }
  // Who says that at once.
  UniqueFd postfix(std::string_view text) { return client(maps, text); }
  UniqueFd lmtpctl(std::string_view text) { return client(control, text); }
  void say(const UniqueFd& socket, std::string_view text) {
    EXPECT_EQ(::send(socket.get(), text.data(), text.size(), 0), static_cast<ssize_t>(text.size()));
    turn();
  }
  // What has come; "" if it is the end; nothing.
  static std::optional<std::string> heard(const UniqueFd& socket) {
    std::array<char, 4096> text{};
    const ssize_t got = ::recv(socket.get(), text.data(), text.size(), 0);
    if (got < 0) return std::nullopt;
    return std::string(text.data(), static_cast<std::size_t>(got));
  }
  // Nobody listens there.
  bool postfix_is_refused() { return !maps.connect(); }

 private:
  UniqueFd client(UnixListener& place, std::string_view text) {
    UniqueFd socket = place.connect();
    say(socket, text);
    return socket;
  }
};

TEST_F(LookupListeners, LetClientsWaitUntilMasterSaysServe) {
  const UniqueFd asks = postfix(kQuestion);
  const UniqueFd administrator = lmtpctl("flush\n");
  EXPECT_FALSE(heard(asks));
  EXPECT_FALSE(heard(administrator));
  tell(Serve{});
  EXPECT_EQ(heard(asks), kAnswer);
  EXPECT_TRUE(heard(administrator));
}

TEST_F(LookupListeners, SendIdlePostfixAwayAtRetire) {
  tell(Serve{});
  const UniqueFd new_one = postfix("");
  const UniqueFd kept = postfix(kQuestion);
  const UniqueFd in_pieces = postfix("18:mail");
  EXPECT_EQ(heard(kept), kAnswer);
  tell(Retire{});
  for (const UniqueFd* each : {&new_one, &kept, &in_pieces}) EXPECT_EQ(heard(*each), "");
  EXPECT_TRUE(postfix_is_refused());
}

TEST_F(LookupListeners, AnswerWhatWasAskedBeforeRetire) {
  Rounds rounds;
  mailbox_.answer_in(&rounds);
  tell(Serve{});
  const UniqueFd asks = postfix(kQuestion);
  tell(Retire{});
  EXPECT_FALSE(heard(asks));
  EXPECT_TRUE(postfix_is_refused());
  rounds.play_all();
  turn();
  EXPECT_EQ(heard(asks), kAnswer);
  EXPECT_EQ(heard(asks), "");
}

TEST_F(LookupListeners, DropWhoHangsUpAfterRetire) {
  Rounds rounds;
  mailbox_.answer_in(&rounds);
  tell(Serve{});
  UniqueFd asks = postfix(kQuestion);
  tell(Retire{});
  asks.reset();
  turn();
  rounds.play_all();
  turn();
  EXPECT_TRUE(postfix_is_refused());
}

// The control socket is the generation's own, and the frontends have recipients to look up.
TEST_F(LookupListeners, GoOnForOthersAfterRetire) {
  tell(Serve{});
  Channel frontend = introduce(0);
  tell(Retire{});
  EXPECT_TRUE(heard(lmtpctl("flush\n")));
  frontend.send(Resolve{1, "nobody@d.org"});
  EXPECT_EQ(frontend.flush(), Channel::Status::ok);
  turn();
  Packet packet;
  EXPECT_EQ(frontend.receive(packet), Channel::Status::ok);
}

}  // namespace
}  // namespace lmtpd::lookup
