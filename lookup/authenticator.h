// lookup/authenticator.h -- runs SASL exchanges for the frontends: mechanism, tables, hashes.
//
// A stored password never leaves it: a frontend relays the client's messages and hears a challenge,
// or how the exchange ended. Hashes are computed in threads. Whether a user exists shows neither in
// a reply nor in the time that it takes: for everybody every table is asked, and has to answer
// (where several have a user, the first of them counts); who is unknown, or whose stored password
// cannot be used, costs what Nobody says, and sees his salt; and only the log says what was wrong.
// nobody.h says what still tells.
//
// What a client sends to be checked, a password or a proof of SCRAM's, waits in its address's queue
// until what came before it is answered, and then as FailureRecord says of the address and of the
// user: so no burst of guesses is looked at before the first of them counts. SCRAM's first message,
// for which a user is looked up, waits for its turn alone. What a table or a thread has of an
// exchange is not called back: if the client leaves meanwhile, or hears `unavailable` since it is
// late, the exchange keeps its turn in the queue, and its place in the window, until that is
// answered, and a hash still counts. So of an address the tables are asked for one at a time, with
// the questions of others, and of recipients, in between. The queues are bounded by kQueueTime, and
// by Policy::window.
//
// So that one address cannot shut out others, a frontend that has as many exchanges under way may
// begin a further one, and one that waits is given up for it (`unavailable`): of the network that
// has most of those, the one that has waited longest for its client, or, where none does, the last
// in its queue. None that a table or a thread has, as that makes no room: where all are such, the
// new one is given up. Not thread-safe.
#pragma once

#include <event2/event.h>

#include <chrono>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "lmtpd/base/give_way_order.h"
#include "lmtpd/base/messages.h"
#include "lmtpd/base/ticket.h"
#include "lmtpd/event/event_ptr.h"
#include "lookup/auth/failure_record.h"
#include "lookup/auth/mechanism.h"
#include "lookup/auth/nobody.h"
#include "lookup/auth/password_threads.h"
#include "lookup/table.h"
#include "lookup/table_search.h"

namespace lmtpd::lookup {

class Authenticator final : private Asker {
 public:
  class Client {
   public:
    // At once or later, once for each begin() and respond(), and while a response is due it may be
    // `unavailable`. `text`: the challenge, the user's name (accepted), or nothing. But for a
    // challenge, the exchange is over.
    virtual void on_auth_step(std::uint64_t id, AuthStep::Kind kind, std::string_view text) = 0;

   protected:
    ~Client() = default;
  };

  struct Policy {
    Tables passwords;                     // from a user's name to his stored password
    std::vector<std::string> mechanisms;  // allowed; names in capitals
    Key key{};                            // what users who are not there are like (Nobody)
    std::size_t window = kAuthWindow;     // exchanges of a frontend that may be under way
  };

  // For one answer: tables and hash. Then the outcome is `unavailable`.
  static constexpr std::chrono::seconds kDeadline{60};
  // Before it, in the queue. The same.
  static constexpr std::chrono::seconds kQueueTime{20};

  // The base and the tables outlive it.
  Authenticator(event_base* base, Policy policy, std::unique_ptr<PasswordThreads> threads);
  ~Authenticator();
  Authenticator(const Authenticator&) = delete;
  Authenticator& operator=(const Authenticator&) = delete;

  // `address` is the peer's, numeric. False: the id is not above all that the client began before.
  [[nodiscard]] bool begin(Client& client, const Authenticate& message);
  // False: no exchange of this id was begun, or no response is due in it. Nothing comes of one that
  // is over: it was given up, and the response crossed the word of that.
  [[nodiscard]] bool respond(Client& client, std::uint64_t id, std::string_view message);
  // The exchange, or all of the client's, is over; nothing more is told. What a table or a thread
  // has of it keeps its place until that is answered, but where the client goes with all of its
  // own.
  void end(Client& client, std::uint64_t id);
  void abandon(Client& client);

 private:
  struct Exchange;
  struct Name {
    Client* client;
    std::uint64_t id;
    // Of this object's own: who comes after a client that is gone may have its address, and count
    // from 1 as it did, while what was asked for it is not answered.
    std::uint64_t number;
    bool operator==(const Name&) const = default;
  };
  struct OfClient {
    std::unordered_map<std::uint64_t, std::unique_ptr<Exchange>> exchanges;
    std::uint64_t last_id = 0;
    GiveWayOrder waiting;  // for their clients, or to be looked at
  };
  // A hash that is being computed.
  struct Attempt {
    Name exchange;
    std::string method;
    std::string address;
    std::string network;
    std::string user;
    std::string fault;  // not empty: whatever the hash says, it is refused
  };

  static void on_timer(evutil_socket_t, short, void* exchange) noexcept;
  static void on_checked(evutil_socket_t, short, void* self) noexcept;
  void on_answer(std::uint64_t id, const Answer& answer) override;

  [[nodiscard]] Exchange* find(Client* client, std::uint64_t id);
  [[nodiscard]] Exchange* find(const Name& name);
  void wait(Exchange& exchange, std::uint64_t rank);
  void stop_waiting(Exchange& exchange);
  [[nodiscard]] bool make_room(OfClient& of_client);
  void give_up(const Exchange& exchange, std::string_view why);
  void take(Exchange& exchange, MechanismStep step);
  void enter_queue(Exchange& exchange);
  void leave_queue(Exchange& exchange);
  [[nodiscard]] std::chrono::milliseconds delay(const Exchange& exchange) const;
  void look_in(Exchange& exchange, std::chrono::milliseconds time);
  void look(Exchange& exchange);
  void ask_tables(Exchange& exchange);
  void ask_next_table(Exchange& exchange);
  [[nodiscard]] bool use(Exchange& exchange, const Answer& answer);
  void settle(Exchange& exchange);
  void take_checked();
  void accept(const Attempt& attempt);
  void refuse(const Attempt& attempt, std::string_view why);
  void tell(Name name, AuthStep::Kind kind, std::string_view text);
  [[nodiscard]] static Attempt attempt_of(const Exchange& exchange);

  event_base* base_;
  const Policy policy_;
  std::unique_ptr<PasswordThreads> threads_;
  std::unordered_map<Client*, OfClient> clients_;
  std::uint64_t last_number_ = 0;                        // of exchanges, questions, attempts, ranks
  std::unordered_map<std::uint64_t, Name> questions_;    // to tables
  std::unordered_map<std::uint64_t, Attempt> attempts_;  // by the threads
  std::unordered_map<std::string, std::deque<Name>> queues_;  // by network; none is empty
  FailureRecord networks_;
  FailureRecord users_;
  Nobody nobody_;
  EventPtr checked_;
};

}  // namespace lmtpd::lookup
