#include "lookup/pgsql_return.h"

#include <utility>

namespace lmtpd::lookup {
namespace {

PgsqlQuery copy_of(const PgsqlQuery& question) {
  return {question.statement, nullptr, question.key, nullptr, 0, question.only_check};
}

}  // namespace

PgsqlReturn::PgsqlReturn(event_base* base, std::vector<PgsqlHost> hosts, Options options,
                         Owner& owner)
    : base_(base),
      options_(options),
      owner_(owner),
      dialer_(base, std::move(hosts), options.connect_timeout, *this),
      tick_(event_new(base, -1, 0, on_tick, this)),
      answered_(event_new(base, -1, 0, on_answered, this)) {}

void PgsqlReturn::on_tick(evutil_socket_t, short, void* self) noexcept {
  auto* back = static_cast<PgsqlReturn*>(self);
  if (!back->leftovers_.empty()) return back->wait();
  back->try_from(0);
}
void PgsqlReturn::on_answered(evutil_socket_t, short, void* self) noexcept {
  static_cast<PgsqlReturn*>(self)->end_trial();
}

void PgsqlReturn::watch(std::size_t count) {
  stop();
  count_ = count;
  if (count_ > 0) wait();
}

void PgsqlReturn::stop() {
  event_del(tick_.get());
  dialer_.stop();
  if (pipeline_) give_up();
}

void PgsqlReturn::wait() {
  const timeval interval = to_timeval(options_.interval);
  event_add(tick_.get(), &interval);
}

void PgsqlReturn::try_from(std::size_t place) {
  if (place == count_) return wait();
  dialer_.start(place, count_ - place);
}

void PgsqlReturn::on_no_connection(std::string) { wait(); }

void PgsqlReturn::on_connected(PgsqlConnected made) {
  if (!question_) return owner_.on_earlier_host(std::move(made));
  trial_ = std::move(made);
  is_fit_ = false;
  // Nothing is prepared: whoever gets the connection knows nothing of it.
  PgsqlPipeline::Owner& owner = *this;
  pipeline_ = std::make_unique<PgsqlPipeline>(base_, std::move(trial_.connection), 0, false,
                                              options_.query_timeout, owner);
  std::vector<PgsqlQuery> queries;
  queries.push_back(copy_of(*question_));
  pipeline_->send(std::move(queries));
}

void PgsqlReturn::on_values(PgsqlQuery, Result<std::vector<std::string>> values) {
  is_fit_ = values.has_value();
  event_active(answered_.get(), EV_TIMEOUT, 1);
}

// In another form, which the statement has learned; that is for the next time.
void PgsqlReturn::on_send_again(PgsqlQuery) { event_active(answered_.get(), EV_TIMEOUT, 1); }

void PgsqlReturn::end_trial() {
  trial_.connection = pipeline_->take_connection();
  drop_pipeline();
  if (is_fit_) return owner_.on_earlier_host(std::move(trial_));
  trial_.connection.reset();
  try_from(trial_.place + 1);
}

void PgsqlReturn::on_lost(std::vector<PgsqlQuery>, std::string, bool timed_out) {
  if (timed_out) leave_behind();
  drop_pipeline();
  try_from(trial_.place + 1);
}

void PgsqlReturn::give_up() {
  static_cast<void>(pipeline_->take_unanswered());
  if (pipeline_->unanswered_syncs() > 0) leave_behind();
  drop_pipeline();
}

void PgsqlReturn::leave_behind() {
  const std::size_t syncs = pipeline_->unanswered_syncs();
  PgsqlLeftover::Owner& owner = *this;
  leftovers_.push_back(
      std::make_unique<PgsqlLeftover>(base_, pipeline_->take_connection(), syncs, owner));
}

void PgsqlReturn::drop_pipeline() {
  event_del(answered_.get());
  pipeline_.reset();
}

void PgsqlReturn::on_over(PgsqlLeftover& leftover) {
  std::erase_if(leftovers_, [&](auto& one) { return one.get() == &leftover; });
}

void PgsqlReturn::must_answer(const PgsqlQuery& question) { question_ = copy_of(question); }

void PgsqlReturn::forget(const PgsqlStatement& statement) {
  if (!question_ || question_->statement != &statement) return;
  question_.reset();
  if (!pipeline_) return;
  give_up();
  wait();
}

}  // namespace lmtpd::lookup
