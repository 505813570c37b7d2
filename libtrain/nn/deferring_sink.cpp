#include "nn/deferring_sink.h"

namespace moesaic {
namespace {

constexpr std::size_t kMostWaiting = 16;  // the weights of about two layers

}  // namespace

void DeferringSink::accumulate(const ParameterUse& use) {
  if (!use.may_wait) return sink_->accumulate(use);
  waiting_.push_back(use);
  if (waiting_.size() > kMostWaiting) hand_over(1);
}

void DeferringSink::catch_up() { hand_over(waiting_.size()); }

void DeferringSink::hand_over(std::size_t count) {
  for (; count > 0; --count) {
    sink_->accumulate(waiting_.front());
    waiting_.pop_front();  // and with it the tensors
    world_.progress();
  }
}

}  // namespace moesaic
