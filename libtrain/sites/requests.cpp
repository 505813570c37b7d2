#include "sites/requests.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "identity/sha256.h"

namespace moesaic::sites {
namespace {

// A silo says few messages in a round; older ones are told apart by their round.
constexpr std::size_t kRemembered = 64;
constexpr std::ptrdiff_t kWaiting = 16;  // of one silo, unanswered

void settle_now(PendingAnswer& pending, bool accepted) {
  pending.is_settled = true;
  if (pending.settle) pending.settle(accepted);
}

// The silo says it again.
void drop(PendingAnswer* pending) {
  if (pending == nullptr || pending->is_settled) return;
  settle_now(*pending, false);
  pending->promise.set_exception(std::make_exception_ptr(Dropped{}));
}

}  // namespace

Request::Request(std::string silo, Message message, std::string file,
                 std::shared_ptr<PendingAnswer> pending)
    : silo_(std::move(silo)),
      message_(std::move(message)),
      file_(std::move(file)),
      pending_(std::move(pending)) {}

Request& Request::operator=(Request&& other) noexcept {
  if (this == &other) return *this;
  drop(pending_.get());
  silo_ = std::move(other.silo_);
  message_ = std::move(other.message_);
  file_ = std::move(other.file_);
  pending_ = std::move(other.pending_);
  return *this;
}

Request::~Request() { drop(pending_.get()); }

void Request::answer(const Message& reply) {
  MOESAIC_ASSERT(pending_ && !pending_->is_settled);
  settle_now(*pending_, true);
  pending_->promise.set_value(reply);
}

void Request::refuse(const Error& error) {
  MOESAIC_ASSERT(pending_ && !pending_->is_settled);
  settle_now(*pending_, false);
  pending_->promise.set_exception(std::make_exception_ptr(error));
}

std::shared_ptr<PendingAnswer> Requests::known(const std::string& silo,
                                               const std::string& digest) const {
  const auto found = known_.find(silo);
  if (found == known_.end()) return nullptr;
  for (const Known& entry : found->second)
    if (entry.digest == digest) return entry.pending;
  return nullptr;
}

std::optional<Answer> Requests::find(const std::string& silo, const std::string& text) const {
  const std::lock_guard lock(mutex_);
  const auto pending = known(silo, identity::sha256_of(text));
  return pending ? std::optional<Answer>(pending->answer) : std::nullopt;
}

Answer Requests::ask(const std::string& silo, const std::string& text, Message message,
                     std::string file, std::function<void(bool accepted)> settle) {
  const std::string digest = identity::sha256_of(text);
  const std::lock_guard lock(mutex_);
  if (stopped_) throw Dropped{};
  if (const auto before = known(silo, digest)) return before->answer;
  std::deque<Known>& entries = known_[silo];
  const auto waiting = std::count_if(entries.begin(), entries.end(),
                                     [](const Known& entry) { return !entry.pending->is_settled; });
  MOESAIC_CHECK(waiting < kWaiting, ErrorKind::kCommunication,
                "silo '{}' has {} messages without an answer already", silo, waiting);
  auto pending = std::make_shared<PendingAnswer>();
  pending->settle = [this, silo, digest, settle = std::move(settle)](bool accepted) {
    if (!accepted) forget(silo, digest);  // said again, it may be accepted
    settle(accepted);
  };
  entries.push_back({digest, pending});
  if (entries.size() > kRemembered) entries.pop_front();
  queue_.emplace_back(silo, std::move(message), std::move(file), pending);
  arrived_.notify_one();
  return pending->answer;
}

void Requests::forget(const std::string& silo, const std::string& digest) {
  const std::lock_guard lock(mutex_);
  std::erase_if(known_[silo], [&](const Known& entry) { return entry.digest == digest; });
}

std::optional<Request> Requests::next(double wait_s) {
  std::unique_lock lock(mutex_);
  arrived_.wait_for(lock, std::chrono::duration<double>(wait_s),
                    [&] { return !queue_.empty() || failure_ || stopped_; });
  if (failure_) throw Error(*failure_);
  if (queue_.empty()) return std::nullopt;
  Request request = std::move(queue_.front());
  queue_.pop_front();
  return request;
}

void Requests::fail(const Error& error) {
  const std::lock_guard lock(mutex_);
  if (!failure_) failure_ = error;
  arrived_.notify_all();
}

void Requests::stop() {
  std::deque<Request> left;
  {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
    left.swap(queue_);
    arrived_.notify_all();
  }
  left.clear();  // outside the lock: to drop takes it
}

}  // namespace moesaic::sites
