// Requests: the messages of silos on their way to the coordinator, and the answers on their way
// back. A message that comes again, after a cut or from a silo that began anew, is not handed out
// twice. Every function may be called by any thread.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "sites/server.h"

namespace moesaic::sites {

/// Where the answer to a message will be: get() throws the Error of a refusal, and Dropped when the
/// coordinator let the message go.
using Answer = std::shared_future<Message>;
struct Dropped {};

struct PendingAnswer {
  std::promise<Message> promise;
  Answer answer = promise.get_future().share();
  std::function<void(bool accepted)> settle;  // before the silo hears of it
  std::atomic<bool> is_settled = false;
};

class Requests {
 public:
  Requests() = default;
  ~Requests() { stop(); }
  Requests(const Requests&) = delete;
  Requests& operator=(const Requests&) = delete;

  /// The answer to a message of this silo that came before and was not refused. `text` is what
  /// makes two messages the same.
  std::optional<Answer> find(const std::string& silo, const std::string& text) const;

  /// Puts a message into the queue. `settle` is called once it is answered or refused. Two threads
  /// that bring the same get the same answer; the second one's `settle` is not called.
  Answer ask(const std::string& silo, const std::string& text, Message message, std::string file,
             std::function<void(bool accepted)> settle);

  std::optional<Request> next(double wait_s);
  /// This side cannot go on: next() throws it from now on.
  void fail(const Error& error);

  /// Drops what is in the queue and all that comes.
  void stop();

 private:
  struct Known {
    std::string digest;  // of the text
    std::shared_ptr<PendingAnswer> pending;
  };

  std::shared_ptr<PendingAnswer> known(const std::string& silo, const std::string& digest) const;
  void forget(const std::string& silo, const std::string& digest);

  mutable std::mutex mutex_;
  std::condition_variable arrived_;
  std::deque<Request> queue_;
  std::map<std::string, std::deque<Known>> known_;  // per silo, the newest last
  std::optional<Error> failure_;
  bool stopped_ = false;
};

}  // namespace moesaic::sites
