#include "lookup/authenticator.h"

#include <algorithm>
#include <utility>

#include "lmtpd/base/internet_address.h"
#include "lmtpd/base/log.h"
#include "lookup/fold.h"

namespace lmtpd::lookup {
namespace {

constexpr std::size_t kMostRecorded = 10'000;  // networks, and users

}  // namespace

struct Authenticator::Exchange {
  enum class Stage : std::uint8_t {
    unqueued,
    queued,   // others of its network come first
    delayed,  // it is its turn, for when the time of the failures has passed
    looked_at,
  };

  Authenticator* owner;
  Name name;
  std::string method;
  std::string address;
  std::string network;  // of the address: what failures count for, and whose queue it is
  std::unique_ptr<Mechanism> mechanism;
  bool is_clients_turn = false;
  bool is_busy = false;       // a table or a thread has it
  bool is_over = false;       // and nobody waits for what comes of that
  std::uint64_t rank = 0;     // among those that wait, while it does
  bool has_verifier = false;  // the client's next message is its proof
  // Of the attempt under way:
  std::string user;
  std::string key;                      // his, in the tables
  std::optional<std::string> password;  // what is to be checked
  std::optional<std::string> proof;     // the same, of SCRAM
  Stage stage = Stage::unqueued;
  std::size_t next_table = 0;
  bool is_found = false;                 // a table has the user
  std::optional<StoredPassword> stored;  // what it has, if that can be used
  std::string fault;                     // why not
  EventPtr timer;
};

Authenticator::Authenticator(event_base* base, Policy policy,
                             std::unique_ptr<PasswordThreads> threads)
    : base_(base),
      policy_(std::move(policy)),
      threads_(std::move(threads)),
      networks_(kMostRecorded),
      users_(kMostRecorded),
      nobody_(policy_.key),
      checked_(event_new(base, threads_->fd(), EV_READ | EV_PERSIST, on_checked, this)) {
  event_add(checked_.get(), nullptr);
}

Authenticator::~Authenticator() = default;

bool Authenticator::begin(Client& client, const Authenticate& message) {
  OfClient& of_client = clients_[&client];
  if (message.id <= of_client.last_id) return false;
  of_client.last_id = message.id;
  auto& place = of_client.exchanges[message.id];
  place = std::make_unique<Exchange>();
  Exchange& exchange = *place;
  exchange.owner = this;
  exchange.name = {&client, message.id, ++last_number_};
  exchange.method = message.mechanism;
  exchange.address = message.address;
  exchange.network = client_network(message.address);
  exchange.timer.reset(event_new(base_, -1, 0, on_timer, &exchange));
  if (std::ranges::find(policy_.mechanisms, message.mechanism) != policy_.mechanisms.end()) {
    exchange.mechanism = make_mechanism(message.mechanism);
  }
  if (of_client.exchanges.size() > policy_.window && !make_room(of_client)) {
    give_up(exchange, "too many are under way");
  } else if (!exchange.mechanism) {
    refuse(attempt_of(exchange), "a mechanism that is not offered");
  } else {
    take(exchange, message.has_response ? exchange.mechanism->respond(message.response)
                                        : exchange.mechanism->begin());
  }
  return true;
}

bool Authenticator::respond(Client& client, std::uint64_t id, std::string_view message) {
  const auto of_client = clients_.find(&client);
  if (of_client == clients_.end() || id > of_client->second.last_id) return false;
  Exchange* const exchange = find(&client, id);
  if (exchange == nullptr || exchange->is_over) return true;
  if (!exchange->is_clients_turn) return false;
  exchange->is_clients_turn = false;
  stop_waiting(*exchange);
  if (std::exchange(exchange->has_verifier, false)) {
    exchange->proof = message;
    enter_queue(*exchange);
  } else {
    take(*exchange, exchange->mechanism->respond(message));
  }
  return true;
}

void Authenticator::end(Client& client, std::uint64_t id) {
  Exchange* const exchange = find(&client, id);
  if (exchange == nullptr) return;
  if (exchange->is_busy) {
    exchange->is_over = true;
    event_del(exchange->timer.get());
    return;
  }
  leave_queue(*exchange);
  stop_waiting(*exchange);
  clients_.at(&client).exchanges.erase(id);
}

void Authenticator::abandon(Client& client) {
  const auto of_client = clients_.find(&client);
  if (of_client == clients_.end()) return;
  for (const auto& [id, exchange] : of_client->second.exchanges) leave_queue(*exchange);
  clients_.erase(of_client);
}

Authenticator::Exchange* Authenticator::find(Client* client, std::uint64_t id) {
  const auto of_client = clients_.find(client);
  if (of_client == clients_.end()) return nullptr;
  const auto found = of_client->second.exchanges.find(id);
  return found == of_client->second.exchanges.end() ? nullptr : found->second.get();
}

Authenticator::Exchange* Authenticator::find(const Name& name) {
  Exchange* const exchange = find(name.client, name.id);
  return exchange != nullptr && exchange->name == name ? exchange : nullptr;
}

// ---- what waits, and is given up for what is begun

void Authenticator::wait(Exchange& exchange, std::uint64_t rank) {
  exchange.rank = rank;
  clients_.at(exchange.name.client).waiting.add(exchange.network, rank, exchange.name.id);
}

void Authenticator::stop_waiting(Exchange& exchange) {
  if (exchange.rank == 0) return;
  clients_.at(exchange.name.client).waiting.remove(exchange.network, exchange.rank);
  exchange.rank = 0;
}

bool Authenticator::make_room(OfClient& of_client) {
  const std::optional<std::uint64_t> id = of_client.waiting.first();
  if (id) give_up(*of_client.exchanges.at(*id), "given up for another, too many are under way");
  return id.has_value();
}

void Authenticator::give_up(const Exchange& exchange, std::string_view why) {
  log_warning("client={}: SASL {} authentication: {}", escaped(exchange.address),
              escaped(exchange.method), escaped(why));
  tell(exchange.name, AuthStep::Kind::unavailable, {});
}

void Authenticator::take(Exchange& exchange, MechanismStep step) {
  if (const auto* challenge = std::get_if<Challenge>(&step)) {
    leave_queue(exchange);
    exchange.is_clients_turn = true;
    wait(exchange, ++last_number_);  // who has waited longest comes first
    exchange.name.client->on_auth_step(exchange.name.id, AuthStep::Kind::challenge,
                                       challenge->text);
  } else if (auto* check = std::get_if<CheckPassword>(&step)) {
    exchange.user = std::move(check->user);
    exchange.key = fold(exchange.user);
    exchange.password = std::move(check->password);
    enter_queue(exchange);
  } else if (auto* need = std::get_if<NeedVerifier>(&step)) {
    exchange.user = std::move(need->user);
    exchange.key = fold(exchange.user);
    enter_queue(exchange);
  } else if (const auto* refused = std::get_if<Refused>(&step)) {
    refuse(attempt_of(exchange), refused->why);
  } else {
    accept(attempt_of(exchange));
  }
}

// ---- a network's queue: the first is looked at, or is about to be

void Authenticator::enter_queue(Exchange& exchange) {
  std::deque<Name>& queue = queues_[exchange.network];
  queue.push_back(exchange.name);
  const std::chrono::milliseconds time = delay(exchange);
  if (queue.size() == 1 && time.count() == 0) return look(exchange);
  wait(exchange, ~++last_number_);  // the last of a queue first, behind who waits for his client
  if (queue.size() == 1) return look_in(exchange, time);
  exchange.stage = Exchange::Stage::queued;
  const timeval span = to_timeval(kQueueTime);
  event_add(exchange.timer.get(), &span);
}

void Authenticator::leave_queue(Exchange& exchange) {
  if (exchange.stage == Exchange::Stage::unqueued) return;
  exchange.stage = Exchange::Stage::unqueued;
  const auto found = queues_.find(exchange.network);
  std::deque<Name>& queue = found->second;
  const bool was_first = queue.front() == exchange.name;
  std::erase(queue, exchange.name);
  if (queue.empty()) {
    queues_.erase(found);
  } else if (was_first) {
    // From the loop, even where it has not to wait: whoever leaves may be in the midst of much.
    Exchange& next = *find(queue.front());
    look_in(next, delay(next));
  }
}

std::chrono::milliseconds Authenticator::delay(const Exchange& exchange) const {
  // SCRAM's first message tells nothing: what it leads to does not wait twice.
  if (!exchange.password && !exchange.proof) return std::chrono::milliseconds(0);
  const Clock::time_point now = Clock::now();
  return std::max(networks_.wait(exchange.network, now), users_.wait(exchange.key, now));
}

void Authenticator::look_in(Exchange& exchange, std::chrono::milliseconds time) {
  exchange.stage = Exchange::Stage::delayed;
  const timeval span = to_timeval(time);
  event_add(exchange.timer.get(), &span);
}

void Authenticator::look(Exchange& exchange) {
  exchange.stage = Exchange::Stage::looked_at;
  stop_waiting(exchange);
  if (exchange.proof) {
    const std::string proof = *std::exchange(exchange.proof, std::nullopt);
    take(exchange, exchange.mechanism->respond(proof));
  } else {
    ask_tables(exchange);
  }
}

void Authenticator::on_timer(evutil_socket_t, short, void* exchange) noexcept {
  auto& late = *static_cast<Exchange*>(exchange);
  Authenticator& self = *late.owner;
  if (late.stage == Exchange::Stage::delayed) return self.look(late);
  self.give_up(late, late.stage == Exchange::Stage::queued
                         ? "too many attempts of this client before it"
                         : "no answer in time");
}

// ---- tables

void Authenticator::ask_tables(Exchange& exchange) {
  const timeval span = to_timeval(kDeadline);
  event_add(exchange.timer.get(), &span);
  ask_next_table(exchange);
}

void Authenticator::ask_next_table(Exchange& exchange) {
  while (exchange.next_table < policy_.passwords.size()) {
    Table& table = *policy_.passwords[exchange.next_table++];
    const std::uint64_t question = ++last_number_;
    const std::optional<Answer> answer = table.lookup(exchange.key, *this, question);
    if (!answer) {
      exchange.is_busy = true;
      questions_.emplace(question, exchange.name);
      return;
    }
    if (!use(exchange, *answer)) return;
  }
  settle(exchange);
}

void Authenticator::on_answer(std::uint64_t id, const Answer& answer) {
  const auto question = questions_.find(id);
  if (question == questions_.end()) return;
  const Name name = question->second;
  questions_.erase(question);
  Exchange* const exchange = find(name);
  if (exchange == nullptr) return;  // with its frontend
  exchange->is_busy = false;
  if (exchange->is_over) {
    end(*name.client, name.id);
  } else if (use(*exchange, answer)) {
    ask_next_table(*exchange);
  }
}

// False: the exchange is over.
bool Authenticator::use(Exchange& exchange, const Answer& answer) {
  const Table& table = *policy_.passwords[exchange.next_table - 1];
  const auto* unavailable = std::get_if<Unavailable>(&answer);
  if (unavailable != nullptr && !unavailable->answered) {
    give_up(exchange, unavailable->why);
    return false;
  }
  const auto* found = std::get_if<Found>(&answer);
  if (std::holds_alternative<Absent>(answer) || std::exchange(exchange.is_found, true)) return true;
  if (found == nullptr) {
    exchange.fault = unavailable->why;
  } else if (found->values.size() != 1) {
    exchange.fault = table.name() + ": several passwords of one user";
  } else if (Result<StoredPassword> stored = StoredPassword::parse(found->values[0])) {
    exchange.stored = *std::move(stored);
  } else {
    exchange.fault = table.name() + ": " + stored.error().text;
  }
  return true;
}

// What nobody is compared with is made ready for everybody: it takes time, too.
void Authenticator::settle(Exchange& exchange) {
  if (!exchange.is_found) exchange.fault = "no such user";
  if (exchange.stored) nobody_.meet(*exchange.stored);
  if (exchange.password) {
    const StoredPassword& nobodys = nobody_.password(exchange.key);
    const std::uint64_t number = ++last_number_;
    if (threads_->start(number, exchange.stored.value_or(nobodys),
                        *std::exchange(exchange.password, std::nullopt))) {
      exchange.is_busy = true;
      attempts_.emplace(number, attempt_of(exchange));
    } else {
      give_up(exchange, "too many at a time");
    }
    return;
  }
  event_del(exchange.timer.get());
  exchange.has_verifier = true;
  const ScramVerifier* const his = exchange.stored ? exchange.stored->scram() : nullptr;
  if (exchange.stored && his == nullptr) exchange.fault = "the stored password is none for SCRAM";
  const ScramVerifier nobodys = nobody_.verifier(exchange.key);
  take(exchange, exchange.mechanism->use_verifier(his != nullptr ? *his : nobodys));
}

void Authenticator::on_checked(evutil_socket_t, short, void* self) noexcept {
  static_cast<Authenticator*>(self)->take_checked();
}

void Authenticator::take_checked() {
  for (const auto& [number, matches] : threads_->take_finished()) {
    const Attempt attempt = std::move(attempts_.extract(number).mapped());
    if (Exchange* const exchange = find(attempt.exchange)) exchange->is_busy = false;
    if (matches && attempt.fault.empty()) {
      accept(attempt);
    } else {
      refuse(attempt, "wrong password");
    }
  }
}

Authenticator::Attempt Authenticator::attempt_of(const Exchange& exchange) {
  return {exchange.name,    exchange.method, exchange.address,
          exchange.network, exchange.user,   exchange.fault};
}

void Authenticator::accept(const Attempt& attempt) {
  // Not the address's: whoever has a password of his own would clear it between his guesses.
  users_.forget(fold(attempt.user));
  tell(attempt.exchange, AuthStep::Kind::accepted, attempt.user);
}

void Authenticator::refuse(const Attempt& attempt, std::string_view why) {
  const Clock::time_point now = Clock::now();
  const std::uint64_t failures = networks_.add(attempt.network, now);
  if (!attempt.user.empty()) users_.add(fold(attempt.user), now);
  log_warning("client={}: SASL {} authentication failed: {}, sasl_username={}, failures={}",
              escaped(attempt.address), escaped(attempt.method),
              escaped(attempt.fault.empty() ? why : attempt.fault), escaped(attempt.user),
              failures);
  tell(attempt.exchange, AuthStep::Kind::refused, {});
}

// The name by value: that of an exchange goes with it.
void Authenticator::tell(Name name, AuthStep::Kind kind, std::string_view text) {
  const Exchange* const exchange = find(name);
  if (exchange == nullptr) return;
  const bool is_heard = !exchange->is_over;
  end(*name.client, name.id);
  if (is_heard) name.client->on_auth_step(name.id, kind, text);
}

}  // namespace lmtpd::lookup
