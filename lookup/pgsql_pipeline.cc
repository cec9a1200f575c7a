#include "lookup/pgsql_pipeline.h"

#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <functional>
#include <memory>
#include <string_view>
#include <utility>

#include "lmtpd/base/log.h"

namespace lmtpd::lookup {
namespace {

// What the server says of a prepared statement.
constexpr std::string_view kNotThere = "26000";
constexpr std::string_view kAlreadyThere = "42P05";

// What PREPARE says of a query that is well as text: a parameter stands where only a literal may
// (date '%s'), or its type cannot be told.
bool may_be_well_as_text(std::string_view sqlstate) {
  constexpr std::array<std::string_view, 7> kStates = {"42601", "42883", "42P18", "42804",
                                                       "42P08", "42725", "42846"};
  return std::find(kStates.begin(), kStates.end(), sqlstate) != kStates.end();
}

// With the text's hash: should a statement of that name be another client's after all, left behind
// a pooler that went unnoticed, it is the same query.
std::string statement_name(const PgsqlStatement& statement) {
  return fmt::format("lmtpd_{}_{}_{:x}", statement.number, statement.version,
                     std::hash<std::string>{}(statement.sql->prepared_text()));
}

}  // namespace

PgsqlPipeline::PgsqlPipeline(event_base* base, PgConnPtr connection, std::uint64_t number,
                             bool may_prepare, std::chrono::milliseconds query_timeout,
                             Owner& owner)
    : number_(number),
      may_prepare_(may_prepare),
      query_timeout_(query_timeout),
      owner_(owner),
      connection_(std::move(connection)),
      readable_(
          event_new(base, PQsocket(connection_.get()), EV_READ | EV_PERSIST, on_readable, this)),
      writable_(event_new(base, PQsocket(connection_.get()), EV_WRITE, on_writable, this)),
      timer_(event_new(base, -1, 0, on_timer, this)) {
  if (PQsetnonblocking(connection_.get(), 1) != 0 || PQenterPipelineMode(connection_.get()) != 1) {
    break_off(pgsql_message(PQerrorMessage(connection_.get())));
  }
  event_add(readable_.get(), nullptr);
}

void PgsqlPipeline::on_readable(evutil_socket_t, short, void* self) noexcept {
  static_cast<PgsqlPipeline*>(self)->read();
}
void PgsqlPipeline::on_writable(evutil_socket_t, short, void* self) noexcept {
  static_cast<PgsqlPipeline*>(self)->flush();
}

void PgsqlPipeline::on_timer(evutil_socket_t, short, void* self) noexcept {
  auto* pipeline = static_cast<PgsqlPipeline*>(self);
  if (pipeline->sent_.empty()) return;
  const auto left = pipeline->sent_.front().deadline - std::chrono::steady_clock::now();
  if (left > std::chrono::nanoseconds::zero()) {
    const timeval wait = to_timeval(left);
    event_add(pipeline->timer_.get(), &wait);
    return;
  }
  const auto seconds = std::chrono::duration<double>(pipeline->query_timeout_).count();
  pipeline->lose(fmt::format("no answer from the database within {} s", seconds), true);
}

// PQpipelineSync() of libpq before 17 sends at once; the cork makes of it as few segments as fit.
void PgsqlPipeline::cork(bool on) {
  const int value = on ? 1 : 0;
  // Fails on a unix socket, where there is no wire to save.
  setsockopt(PQsocket(connection_.get()), IPPROTO_TCP, TCP_CORK, &value, sizeof value);
}

void PgsqlPipeline::send(std::vector<PgsqlQuery> queries) {
  const bool several = queries.size() > 1;
  if (several) cork(true);
  for (PgsqlQuery& query : queries) {
    if (!broken_.empty()) {
      // Only joins those that on_lost() hands back.
      push(query.only_check ? Kind::check : Kind::query, std::move(query));
    } else if (!send_query(std::move(query))) {
      break_off(pgsql_message(PQerrorMessage(connection_.get())));
    }
  }
  if (several) cork(false);
  flush();
  if (evtimer_pending(timer_.get(), nullptr) != 0) return;
  const timeval wait = to_timeval(query_timeout_);
  event_add(timer_.get(), &wait);
}

std::optional<std::string> PgsqlPipeline::text_of(const PgsqlQuery& query) const {
  PGconn* connection = connection_.get();
  const char* setting = PQparameterStatus(connection, "standard_conforming_strings");
  const bool backslash_is_plain = setting != nullptr && std::string_view(setting) == "on";
  const auto escape = [&](std::string_view value,
                          SqlQuoting quoting) -> std::optional<std::string> {
    std::string from;
    for (const char c : value) {
      if (c == '"' && quoting == SqlQuoting::identifier) from += c;
      // PQescapeStringConn() takes it for '...' and leaves a backslash alone.
      if (c == '\\' && quoting == SqlQuoting::escape_literal && backslash_is_plain) from += c;
      from += c;
    }
    std::string to(2 * from.size() + 1, '\0');
    int failed = 0;
    to.resize(PQescapeStringConn(connection, to.data(), from.data(), from.size(), &failed));
    if (failed != 0) return std::nullopt;
    return to;
  };
  const std::string_view key = query.only_check ? kSampleKey : std::string_view(query.key);
  return query.statement->sql->text_for(Parts(key), escape);
}

PgsqlPipeline::Form PgsqlPipeline::form_of(const PgsqlQuery& query) const {
  if (query.statement->as_text) return Form::text;
  return may_prepare_ && !query.only_check ? Form::named : Form::unnamed;
}

void PgsqlPipeline::push(Kind kind, PgsqlQuery query) {
  const unsigned version = query.statement->version;
  const Form form = form_of(query);
  sent_.push_back(
      {kind, std::move(query), version, form, std::chrono::steady_clock::now() + query_timeout_});
}

// False: libpq refuses, and the connection is broken; the query is in sent_ all the same.
bool PgsqlPipeline::send_query(PgsqlQuery query) {
  ++query.times_sent;
  PgsqlStatement& statement = *query.statement;
  const bool prepared =
      form_of(query) != Form::named || statement.prepared_on == number_ || send_prepare(statement);
  push(query.only_check ? Kind::check : Kind::query, std::move(query));
  if (!prepared) return false;
  const bool taken = sent_.back().form == Form::text ? send_as_text(sent_.back())
                                                     : send_with_parameters(sent_.back());
  return taken && PQpipelineSync(connection_.get()) == 1;
}

bool PgsqlPipeline::send_prepare(PgsqlStatement& statement) {
  statement.prepared_on = number_;
  push(Kind::prepare, PgsqlQuery{&statement, nullptr, "", nullptr, 0});
  return PQsendPrepare(connection_.get(), statement_name(statement).c_str(),
                       statement.sql->prepared_text().c_str(), 0, nullptr) == 1 &&
         PQpipelineSync(connection_.get()) == 1;
}

bool PgsqlPipeline::send_with_parameters(const Sent& sent) {
  const PgsqlStatement& statement = *sent.query.statement;
  const char* const text = statement.sql->prepared_text().c_str();
  if (sent.kind == Kind::check) return PQsendPrepare(connection_.get(), "", text, 0, nullptr) == 1;
  const auto parameters = statement.sql->parameters(Parts(sent.query.key));
  std::vector<const char*> values;
  values.reserve(parameters.size());
  for (const std::string& parameter : parameters) values.push_back(parameter.c_str());
  const int count = static_cast<int>(values.size());
  if (sent.form == Form::unnamed) {
    return PQsendQueryParams(connection_.get(), text, count, nullptr, values.data(), nullptr,
                             nullptr, 0) == 1;
  }
  return PQsendQueryPrepared(connection_.get(), statement_name(statement).c_str(), count,
                             values.data(), nullptr, nullptr, 0) == 1;
}

bool PgsqlPipeline::send_as_text(Sent& sent) {
  auto text = text_of(sent.query);
  if (!text) {
    // An empty statement goes in its place, so that this outcome comes in its turn as others do.
    sent.failure = Failure{"", "", "the key cannot be quoted in the connection's encoding"};
    text = "";
  }
  if (sent.query.only_check) {
    return PQsendPrepare(connection_.get(), "", text->c_str(), 0, nullptr) == 1;
  }
  return PQsendQueryParams(connection_.get(), text->c_str(), 0, nullptr, nullptr, nullptr, nullptr,
                           0) == 1;
}

void PgsqlPipeline::flush() {
  if (!broken_.empty()) return;
  const int left = PQflush(connection_.get());
  if (left > 0) event_add(writable_.get(), nullptr);
  if (left < 0) break_off(pgsql_message(PQerrorMessage(connection_.get())));
}

// on_lost() is due; it comes from the loop.
void PgsqlPipeline::break_off(std::string why) {
  broken_ = std::move(why);
  // What the server said before it closed is worth more than that it closed.
  if (!sent_.empty() && sent_.front().failure) broken_ = sent_.front().failure->text;
  if (broken_.empty()) broken_ = "connection lost";
  event_active(readable_.get(), EV_READ, 1);
}

void PgsqlPipeline::read() {
  PGconn* connection = connection_.get();
  std::string ended;
  if (PQconsumeInput(connection) == 0) ended = pgsql_message(PQerrorMessage(connection));
  // Answers that came before the end count, but not where sending met it: with the connection libpq
  // has dropped what it expects by then, and takes rows for something else. Between two statements
  // it gives one null; two in a row mean that it expects nothing more.
  int nulls = 0;
  while (broken_.empty() && !sent_.empty() && nulls < 2 && PQisBusy(connection) == 0) {
    const PgResultPtr result(PQgetResult(connection));
    nulls = result ? 0 : nulls + 1;
    if (result) take(result.get());
  }
  // Through a pooler in transaction mode somebody else's LISTEN may be answered here; libpq keeps
  // what comes until it is asked for.
  while (PgNotifyPtr(PQnotifies(connection))) continue;
  const bool lost = nulls == 2 || PQstatus(connection) == CONNECTION_BAD;
  if (lost && ended.empty()) ended = pgsql_message(PQerrorMessage(connection));
  if (broken_.empty() && (lost || !ended.empty())) break_off(std::move(ended));
  if (!broken_.empty()) return lose(broken_, false);
  flush();
}

void PgsqlPipeline::take(PGresult* result) {
  Sent& sent = sent_.front();
  switch (PQresultStatus(result)) {
    case PGRES_PIPELINE_SYNC: {
      Sent done = std::move(sent);
      sent_.pop_front();
      has_answered_ = true;
      return finish(std::move(done));
    }
    case PGRES_TUPLES_OK:
      for (int row = 0; row < PQntuples(result); ++row) {
        for (int column = 0; column < PQnfields(result); ++column) {
          sent.values.emplace_back(PQgetvalue(result, row, column),
                                   static_cast<std::size_t>(PQgetlength(result, row, column)));
        }
      }
      return;
    case PGRES_COMMAND_OK:
      return;
    case PGRES_COPY_IN:
    case PGRES_COPY_OUT:
    case PGRES_COPY_BOTH: {
      // libpq gives the same result again until the data is read.
      Sent copy = std::move(sent);
      sent_.pop_front();
      has_answered_ = true;
      broken_ = "a query is a COPY";
      // No fault of theirs, nor of the server's.
      for (Sent& behind : sent_) --behind.query.times_sent;
      copy.failure = Failure{"", "", "the query is a COPY"};
      return finish(std::move(copy));
    }
    default:
      break;
  }
  if (sent.failure) return;
  const auto field = [&](int code) {
    const char* value = PQresultErrorField(result, code);
    return std::string(value == nullptr ? "" : value);
  };
  std::string text = field(PG_DIAG_MESSAGE_PRIMARY);
  if (text.empty()) text = PQresultErrorMessage(result);
  if (text.empty()) text = PQresStatus(PQresultStatus(result));
  const std::string sqlstate = field(PG_DIAG_SQLSTATE);
  // Of a data exception (class 22) the server quotes the value that it is about, which may be a
  // password; in other languages with other marks.
  if (sqlstate.starts_with("22")) {
    text.erase(std::ranges::find_if(
                   text, [](char c) { return c == '"' || static_cast<unsigned char>(c) >= 0x80; }),
               text.end());
  }
  sent.failure =
      Failure{sqlstate, field(PG_DIAG_SOURCE_FUNCTION),
              sqlstate.empty() ? pgsql_message(text)
                               : fmt::format("{} (SQLSTATE {})", pgsql_message(text), sqlstate)};
}

void PgsqlPipeline::finish(Sent sent) {
  if (sent.query.statement == nullptr) return;
  if (sent.kind == Kind::prepare) return finish_prepare(sent);
  if (sent.failure) return finish_failed(std::move(sent));
  PgsqlStatement& statement = *sent.query.statement;
  if (sent.form == Form::text && statement.sql->can_prepare() && !statement.said_as_text) {
    statement.said_as_text = true;
    log_info("{}: PostgreSQL does not take the query with parameters ({}); it is sent as text",
             statement.table, statement.prepare_failure);
  }
  owner_.on_values(std::move(sent.query), std::move(sent.values));
}

void PgsqlPipeline::finish_prepare(const Sent& sent) {
  PgsqlStatement& statement = *sent.query.statement;
  statement.prepare_failure.clear();
  if (!sent.failure) return;
  if (sent.failure->sqlstate == kAlreadyThere) return stop_preparing(*sent.failure);
  // The next lookup prepares it again: a missing table or right may be mended by then.
  if (statement.version == sent.version) statement.prepared_on = 0;
  statement.prepare_failure = sent.failure->text;
  statement.as_text = may_be_well_as_text(sent.failure->sqlstate);
}

void PgsqlPipeline::finish_failed(Sent sent) {
  PgsqlStatement& statement = *sent.query.statement;
  const Failure& failure = *sent.failure;
  const auto answer = [&](const std::string& text) {
    owner_.on_values(std::move(sent.query), fail(Reason::lookup_failed, text));
  };
  if (sent.form == Form::text) {
    // No better than with parameters, so that form is tried again next time.
    statement.as_text = !statement.sql->can_prepare();
    return answer(failure.text);
  }
  if (sent.form == Form::unnamed) {
    if (!may_be_well_as_text(failure.sqlstate)) return answer(failure.text);
    statement.prepare_failure = failure.text;
    statement.as_text = true;
    return owner_.on_send_again(std::move(sent.query));
  }
  const bool unknown = failure.sqlstate == kNotThere;
  if (unknown && statement.as_text) return owner_.on_send_again(std::move(sent.query));
  if (unknown && !statement.prepare_failure.empty()) return answer(statement.prepare_failure);
  if (unknown) {
    stop_preparing(failure);
    return owner_.on_send_again(std::move(sent.query));
  }
  // "cached plan must not change result type", whatever the server's language.
  const bool outdated = failure.sqlstate == "0A000" && failure.source == "RevalidateCachedQuery";
  if (outdated && statement.version == sent.version) {
    statement.prepared_on = 0;
    ++statement.version;
  }
  if (outdated && sent.query.times_sent < 2) return owner_.on_send_again(std::move(sent.query));
  answer(failure.text);
}

void PgsqlPipeline::stop_preparing(const Failure& failure) {
  if (may_prepare_) log_info("PostgreSQL: {}; queries are not prepared any more", failure.text);
  may_prepare_ = false;
}

void PgsqlPipeline::forget(const PgsqlStatement& statement) {
  for (Sent& sent : sent_) {
    if (sent.query.statement == &statement) sent.query.statement = nullptr;
  }
}

std::vector<PgsqlQuery> PgsqlPipeline::take_unanswered() {
  event_del(readable_.get());
  event_del(writable_.get());
  event_del(timer_.get());
  unanswered_syncs_ = sent_.size();
  std::vector<PgsqlQuery> unanswered;
  for (Sent& sent : std::exchange(sent_, {})) {
    if (sent.kind == Kind::prepare || sent.query.statement == nullptr) continue;
    unanswered.push_back(std::move(sent.query));
  }
  return unanswered;
}

PgConnPtr PgsqlPipeline::take_connection() {
  readable_.reset();
  writable_.reset();
  return std::move(connection_);
}

void PgsqlPipeline::lose(std::string why, bool timed_out) {
  owner_.on_lost(take_unanswered(), std::move(why), timed_out);
}

}  // namespace lmtpd::lookup
