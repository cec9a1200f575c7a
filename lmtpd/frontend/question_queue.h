// lmtpd/frontend/question_queue.h -- questions to lookup that its window has no room for, of whom
// the next is taken in turn.
//
// Clients take turns, and each one's connections among themselves, which keep their order: who asks
// much waits behind himself. Who had a turn goes behind those that have come since, so that a
// newcomer waits for no more than one question of each of the others.
// No bound of its own: a connection has so many recipients under way (session.h) and no more.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <list>
#include <string>
#include <unordered_map>
#include <vector>

#include "lmtpd/base/ticket.h"

namespace lmtpd::frontend {

struct Question {
  std::uint64_t connection;
  std::uint64_t request;  // the connection's
  Clock::time_point deadline;
  std::string address;
};

class QuestionQueue {
 public:
  QuestionQueue() = default;
  QuestionQueue(const QuestionQueue&) = delete;
  QuestionQueue& operator=(const QuestionQueue&) = delete;

  [[nodiscard]] bool empty() const { return clients_.empty(); }
  // Behind the others of its connection, whose deadlines are no later. A connection has one client.
  void push(const std::string& client, Question question);
  // Not of an empty queue.
  [[nodiscard]] Question pop();
  // Takes out those whose deadline has come.
  [[nodiscard]] std::vector<Question> take_due(Clock::time_point now);
  // Forgets all of this connection.
  void drop(std::uint64_t connection);

 private:
  struct OfConnection {
    std::uint64_t connection;
    std::deque<Question> questions;  // never empty
    bool had_turn = false;
  };
  struct OfClient {
    std::string client;
    std::list<OfConnection> connections;  // never empty; the next turn is the first one's
    bool had_turn = false;
  };
  struct Place {
    std::list<OfClient>::iterator client;
    std::list<OfConnection>::iterator connection;
  };
  void erase(const Place& place);

  std::list<OfClient> clients_;  // the next turn is the first one's
  std::unordered_map<std::string, std::list<OfClient>::iterator> by_client_;
  std::unordered_map<std::uint64_t, Place> by_connection_;
};

}  // namespace lmtpd::frontend
