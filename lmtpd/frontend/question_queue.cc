#include "lmtpd/frontend/question_queue.h"

#include <iterator>
#include <utility>

namespace lmtpd::frontend {
namespace {

// Whose turn it is. He stays where he is until the next turn, so that who comes meanwhile goes
// before him.
template <class Takers>
typename Takers::iterator next_turn(Takers& takers) {
  if (std::exchange(takers.front().had_turn, false)) {
    takers.splice(takers.end(), takers, takers.begin());
  }
  takers.front().had_turn = true;
  return takers.begin();
}

}  // namespace

void QuestionQueue::push(const std::string& client, Question question) {
  const auto [known, is_new] = by_connection_.try_emplace(question.connection);
  Place& place = known->second;
  if (is_new) {
    const auto [found, is_new_client] = by_client_.try_emplace(client);
    if (is_new_client) {
      found->second = clients_.insert(clients_.end(), {.client = client, .connections = {}});
    }
    place.client = found->second;
    auto& connections = place.client->connections;
    place.connection =
        connections.insert(connections.end(), {.connection = question.connection, .questions = {}});
  }
  place.connection->questions.push_back(std::move(question));
}

Question QuestionQueue::pop() {
  const auto client = next_turn(clients_);
  const auto connection = next_turn(client->connections);
  Question question = std::move(connection->questions.front());
  connection->questions.pop_front();
  if (connection->questions.empty()) erase({client, connection});
  return question;
}

std::vector<Question> QuestionQueue::take_due(Clock::time_point now) {
  std::vector<Question> due;
  std::vector<Place> emptied;
  for (const auto& [connection, place] : by_connection_) {
    std::deque<Question>& questions = place.connection->questions;
    while (!questions.empty() && questions.front().deadline <= now) {
      due.push_back(std::move(questions.front()));
      questions.pop_front();
    }
    if (questions.empty()) emptied.push_back(place);
  }
  for (const Place& place : emptied) erase(place);
  return due;
}

void QuestionQueue::drop(std::uint64_t connection) {
  const auto found = by_connection_.find(connection);
  if (found != by_connection_.end()) erase(found->second);
}

// By value: the entry that `place` may stand in goes.
void QuestionQueue::erase(const Place& place) {
  const auto [client, connection] = place;
  by_connection_.erase(connection->connection);
  client->connections.erase(connection);
  if (!client->connections.empty()) return;
  by_client_.erase(client->client);
  clients_.erase(client);
}

}  // namespace lmtpd::frontend
