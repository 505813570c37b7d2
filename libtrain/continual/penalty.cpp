#include "continual/penalty.h"

#include <ATen/ops/zeros_like.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include "continual/quadratic.h"
#include "core/format.h"

namespace moesaic {
namespace {

// A penalty balances the loss, so it is a few nats. Weights that a too large lambda throws from one
// side of the anchor to the other pass this bound many steps before they are no longer finite.
constexpr double kRunsAway = 1e8;

void add_of_scope(double value, Scope scope, PartialSums& sums) {
  (scope == Scope::kDense ? sums.dense : sums.experts) += value;
}

void add_updated(const at::Tensor& pull, const GradientEntry& entry) {
  const auto from = entry.updated_of(pull), to = entry.updated_of(entry.gradient);
  for (std::size_t i = 0; i < to.size(); ++i) at::Tensor(to[i]).add_(from[i]);
}

}  // namespace

std::string Penalty::name() const { return format("{}({})", options_.method, options_.lambda); }

double Penalty::lambda_of(const Parameter& parameter) const {
  const bool router = parameter.group == arch::Group::kRouter;
  return router ? options_.router_lambda.value_or(options_.lambda) : options_.lambda;
}

PartialSums Penalty::pull_weights(Gradients& gradients) const {
  PartialSums sums;
  for (GradientEntry& entry : gradients.entries) {
    const Remembered::Of* of = remembered_.find(entry.parameter);
    const double lambda = lambda_of(entry.parameter);
    if (of == nullptr || lambda == 0 || entry.gradient.numel() == 0) continue;
    const at::Tensor gradient = entry.updated ? at::zeros_like(entry.gradient) : entry.gradient;
    const double sum = add_quadratic_pull(entry.weight(), of->fisher, of->anchor,
                                          lambda / gradients.scale, gradient);
    if (entry.updated) add_updated(gradient, entry);  // what stays as it is has a loss alone
    add_of_scope(lambda / 2 * sum, entry.parameter.scope, sums);
  }
  return sums;
}

PartialSums Penalty::pull_changes(const RankContext& context, Gradients& gradients) const {
  PartialSums sums;
  if (remembered_.pairs().empty()) return sums;
  std::map<std::int64_t, GradientEntry*> entry_of;
  for (GradientEntry& entry : gradients.entries) entry_of[entry.parameter.index] = &entry;
  const auto give = [&](const Parameter& factor, const at::Tensor& gradient) {
    const auto found = entry_of.find(factor.index);
    if (found == entry_of.end()) return;  // it stays as it is
    GradientEntry& entry = *found->second;
    entry.gradient.add_(entry.rows ? gradient.narrow(0, entry.rows->first, entry.rows->count)
                                   : gradient);
  };
  for (const LowRankPair& pair : remembered_.pairs()) {
    const double lambda = lambda_of(pair.weight);
    if (lambda == 0) continue;
    const Remembered::Of* of = remembered_.find(pair.weight);
    const LowRankPull pull = low_rank_pull(pair, of->fisher, of->anchor, lambda / gradients.scale);
    give(pair.a, pull.d_a);
    give(pair.b, pull.d_b);
    if (counts_here(context, pair.weight.scope, gradients.spread))
      add_of_scope(lambda / 2 * pull.sum, pair.weight.scope, sums);
  }
  return sums;
}

void Penalty::apply(const RankContext& context, const Step& /*step*/, Gradients& gradients,
                    MetricsRow& report) {
  if (!remembered_.knows()) {
    report.set("loss_" + options_.method, 0);
    return;
  }
  PartialSums sums = pull_weights(gradients);
  const PartialSums changes = pull_changes(context, gradients);
  sums.dense += changes.dense;
  sums.experts += changes.experts;
  const double router_lambda = options_.router_lambda.value_or(options_.lambda);
  loss_ = global_sum(context, sums, gradients.spread, "penalty") +
          options_.lambda / 2 * remembered_.rest(false) +
          router_lambda / 2 * remembered_.rest(true);
  if (loss_ > kRunsAway) loss_ = std::numeric_limits<double>::infinity();
  report.set("loss_" + options_.method, loss_);
}

std::string Penalty::suspicion(const RankContext& context, const Step& step) const {
  constexpr double kOvershoots = 2;  // w - rate lambda F (w - a) is then further from a than w
  const double largest = options_.method == "l2" ? 1 : remembered_.largest(context);
  const double lambda = std::max(options_.lambda, options_.router_lambda.value_or(0));
  if (step.learning_rate * lambda * largest < kOvershoots)
    return std::isinf(loss_) ? format("; the weights run away: lower continual.lambda, {}", lambda)
                             : "";
  return format(
      "; continual.lambda {} is too large: times the largest importance, {}, and the learning "
      "rate, "
      "{}, it is {}, and from 2 on a step overshoots the anchor: try {} or less",
      lambda, largest, step.learning_rate, step.learning_rate * lambda * largest,
      kOvershoots / (step.learning_rate * largest));
}

}  // namespace moesaic
