#include "continual/remembered.h"

#include <ATen/ops/ones_like.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>
#include <utility>

#include "core/error.h"
#include "optim/global_sum.h"
#include "optim/optimizer.h"

namespace moesaic {
namespace {

constexpr std::int64_t kOthers = 0, kRouters = 1, kJoined = 2;  // of the counts

bool is_router(const Parameter& parameter) { return parameter.group == arch::Group::kRouter; }

// F (w - a)^2 + f (w - b)^2 as one term: F and a become its importance and anchor. -> the rest, as
// a sum over the values: F f / (F + f) (b - a)^2. Where neither matters the newer anchor holds.
double merge_terms(at::Tensor fisher, at::Tensor anchor, const at::Tensor& f, const at::Tensor& b) {
  const at::Tensor sum = fisher.add(f);
  const at::Tensor share = at::where(sum.gt(0), f.div(sum), at::ones_like(sum));
  const at::Tensor way = b.sub(anchor);
  const double rest = fisher.mul(share).mul_(way).mul_(way).sum(at::kDouble).item<double>();
  anchor.lerp_(b, share);  // b itself where the share is 1
  fisher.copy_(sum);
  return rest;
}

}  // namespace

Remembered::Remembered(const ParameterSet& parameters, std::vector<LowRankPair> pairs,
                       const Ownership* ownership, const Options& options)
    : parameters_(parameters),
      pairs_(std::move(pairs)),
      ownership_(ownership == nullptr ? std::nullopt : std::optional<Ownership>(*ownership)),
      options_(options),
      counts_(at::zeros({3}, at::kDouble)) {
  for (const Parameter& parameter : parameters) {
    if (parameter.trainable && !parameter.adapter) keep(parameter);
  }
  for (const LowRankPair& pair : pairs_) keep(pair);
  state_.push_back(
      {.name = "remembered/counts", .tensor = counts_, .global_shape = {3}, .exact = true});
}

RowRange Remembered::rows(const Parameter& parameter) const {
  if (ownership_ && parameter.trainable) return ownership_->own(parameter);
  return {0, parameter.tensor.size(0)};
}

void Remembered::keep(const Parameter& parameter) {
  Of& of = of_[parameter.index];
  const RowRange own = rows(parameter);
  if (options_.joining != Joining::kAnchor) {
    state_.push_back(zero_state(parameter, "fisher", ownership()));
    of.fisher = state_.back().tensor;
  }
  state_.push_back(zero_state(parameter, "anchor", ownership()));
  of.anchor = state_.back().tensor;
  of.anchor.copy_(parameter.tensor.narrow(0, own.first, own.count));
}

// Every rank that holds the weight keeps all of it: its factors have other rows than it has.
void Remembered::keep(const LowRankPair& pair) {
  Of& of = of_[pair.weight.index];
  const auto add = [&](const std::string& part) {
    const at::Tensor zeros = at::zeros(pair.weight.tensor.sizes(), pair.a.tensor.options());
    state_.push_back(entry_like(pair.weight, part, zeros));
    return state_.back().tensor;
  };
  if (options_.joining != Joining::kAnchor) of.fisher = add("fisher");
  if (options_.changes) of.anchor = add("anchor").copy_(change_of(pair));
}

at::Tensor Remembered::change_to(const LowRankPair& pair, const at::Tensor& anchor,
                                 const Importance& newest) {
  if (newest.empty()) return anchor.sub(pair.weight.tensor);
  const at::Tensor& now = newest.at(static_cast<std::size_t>(pair.weight.index)).anchor;
  return now.defined() ? anchor.sub(now).add_(change_of(pair)) : change_of(pair);
}

const Remembered::Of* Remembered::find(const Parameter& parameter) const {
  const auto found = of_.find(parameter.index);
  return found == of_.end() ? nullptr : &found->second;
}

double Remembered::join(const Of& of, const at::Tensor& fisher, const at::Tensor& anchor) const {
  if (options_.joining == Joining::kTerm) {
    if (fisher.defined() && of.anchor.defined())
      return merge_terms(of.fisher, of.anchor, fisher.to(of.fisher.scalar_type()),
                         anchor.to(of.anchor.scalar_type()));
  } else if (of.anchor.defined()) {
    at::Tensor(of.anchor).copy_(anchor);
  }
  if (options_.joining == Joining::kAnchor || !fisher.defined()) return 0;
  const double decay = options_.joining == Joining::kRunning ? options_.decay : 1;
  at::Tensor(of.fisher).mul_(decay).add_(fisher);
  return 0;
}

void Remembered::join(const RankContext& context, const Importance& learned,
                      const Importance& newest) {
  MOESAIC_ASSERT(learned.size() == parameters_.size());
  const bool spread = ownership_.has_value();
  PartialSums others, routers;
  const auto count = [&](const Parameter& parameter, double rest) {
    PartialSums& sums = is_router(parameter) ? routers : others;
    (parameter.scope == Scope::kDense ? sums.dense : sums.experts) += rest;
  };
  const auto of_task = [&](const Parameter& parameter) -> const ParameterImportance& {
    return learned[static_cast<std::size_t>(parameter.index)];
  };
  for (const Parameter& parameter : parameters_) {
    if (!parameter.trainable || parameter.adapter) continue;
    const auto& [fisher, anchor] = of_task(parameter);
    const RowRange own = rows(parameter);
    const auto own_rows = [&own](const at::Tensor& whole) {
      return whole.defined() ? whole.narrow(0, own.first, own.count) : whole;
    };
    const at::Tensor& at_end = anchor.defined() ? anchor : parameter.tensor;
    count(parameter, join(of_.at(parameter.index), own_rows(fisher), own_rows(at_end)));
  }
  for (const LowRankPair& pair : pairs_) {
    const auto& [fisher, anchor] = of_task(pair.weight);
    const Of& of = of_.at(pair.weight.index);
    at::Tensor change;
    if (of.anchor.defined())
      change = anchor.defined() ? change_to(pair, anchor, newest) : change_of(pair);
    const double rest = join(of, fisher, change);
    if (counts_here(context, pair.weight.scope, spread)) count(pair.weight, rest);
  }
  counts_.select(0, kOthers).add_(global_sum(context, others, spread, "penalty.rest"));
  counts_.select(0, kRouters).add_(global_sum(context, routers, spread, "penalty.rest"));
  counts_.select(0, kJoined).add_(1);
}

double Remembered::rest(bool routers) const {
  return counts_.select(0, routers ? kRouters : kOthers).item<double>();
}

bool Remembered::knows() const {
  return options_.knows || counts_.select(0, kJoined).item<double>() > 0;
}

double Remembered::largest(const RankContext& context) const {
  double largest = 0;
  for (const auto& [index, of] : of_) {
    if (of.fisher.defined() && of.fisher.numel() > 0)
      largest = std::max(largest, of.fisher.max().item<double>());
  }
  return context.world.all_reduce(largest, ReduceOp::kMax, "penalty.largest");
}

}  // namespace moesaic
