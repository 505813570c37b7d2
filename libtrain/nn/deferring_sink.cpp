#include "nn/deferring_sink.h"

#include <algorithm>

namespace moesaic {
namespace {

constexpr std::size_t kMostWaiting = 16;  // the weights of about two layers

bool may_wait(const ParameterUse& use) {
  using Kind = ParameterUse::Kind;
  return !use.passing && (use.kind == Kind::kLinear || use.kind == Kind::kGrouped);
}

}  // namespace

void DeferringSink::add(const ParameterUse& use) {
  if (!may_wait(use)) return sink_->add(use);
  waiting_.push_back({.parameter = &use.parameter, .use = use});
  ++uses_;
  while (uses_ > kMostWaiting) hand_over_oldest();
}

void DeferringSink::close(const Parameter& parameter, const HandOverAgain& again) {
  if (!waits(parameter)) return sink_->close(parameter, again);
  waiting_.push_back({.parameter = &parameter, .again = again});
}

void DeferringSink::catch_up() {
  while (!waiting_.empty()) hand_over_oldest();
  sink_->catch_up();
}

void DeferringSink::end() {
  catch_up();
  sink_->end();
}

bool DeferringSink::waits(const Parameter& parameter) const {
  return std::any_of(waiting_.begin(), waiting_.end(),
                     [&](const Waiting& item) { return item.parameter == &parameter; });
}

void DeferringSink::hand_over_oldest() {
  sink_->add(*waiting_.front().use);
  waiting_.pop_front();  // and with it the tensors
  --uses_;
  while (!waiting_.empty() && !waiting_.front().use) {
    sink_->close(*waiting_.front().parameter, waiting_.front().again);
    waiting_.pop_front();
  }
  world_.progress();
}

}  // namespace moesaic
