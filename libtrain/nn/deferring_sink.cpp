#include "nn/deferring_sink.h"

#include <algorithm>
#include <utility>

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
  std::vector<ParameterUse> later;
  for (std::size_t i = 0; i < waiting_.size(); ++i) {
    if (i >= count) {
      later.push_back(waiting_[i]);
      continue;
    }
    sink_->accumulate(waiting_[i]);
    world_.progress();
  }
  waiting_.swap(later);
}

}  // namespace moesaic
