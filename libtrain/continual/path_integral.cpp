#include "continual/path_integral.h"

#include <ATen/ops/zeros_like.h>

#include <utility>

#include "continual/quadratic.h"
#include "core/error.h"

namespace moesaic {

namespace {

// Both are used up.
at::Tensor importance_of(at::Tensor path, at::Tensor way) {
  const at::Tensor importance = path.clamp_min(0).div_(way.mul_(way).add_(PathIntegral::kXi));
  path.zero_();
  return importance;
}

}  // namespace

PathIntegral::PathIntegral(const ParameterSet& parameters, const Ownership* ownership,
                           Remembered& remembered, const Penalty& penalty,
                           const ChangePath* changes)
    : parameters_(parameters),
      ownership_(ownership == nullptr ? std::nullopt : std::optional<Ownership>(*ownership)),
      remembered_(remembered),
      penalty_(penalty),
      changes_(changes) {
  MOESAIC_ASSERT(changes != nullptr || remembered.pairs().empty());
  for (const Parameter& parameter : parameters) {
    if (!parameter.trainable || parameter.adapter) continue;
    state_.push_back(zero_state(parameter, "path", ownership));
    path_[parameter.index] = state_.back().tensor;
  }
}

void PathIntegral::follow(const GradientEntry& entry, const std::function<void()>& step) const {
  if (entry.parameter.adapter) return step();
  const Remembered::Of& of = *remembered_.find(entry.parameter);
  const at::Tensor weight = entry.weight(), before = weight.clone();
  const at::Tensor gradient = entry.gradient.clone();
  if (remembered_.knows())
    add_quadratic_pull(weight, of.fisher, of.anchor, -penalty_.lambda_of(entry.parameter),
                       gradient);
  step();
  at::Tensor(path_.at(entry.parameter.index)).sub_(gradient.mul(weight.sub(before)));
}

void PathIntegral::task_ended(const RankContext& context, const LearnedTask& /*task*/) {
  Importance learned(parameters_.size());
  for (const auto& [index, path] : path_) {
    const Parameter& parameter = parameters_[static_cast<std::size_t>(index)];
    const RowRange own =
        ownership_ ? ownership_->own(parameter) : RowRange{0, parameter.tensor.size(0)};
    const at::Tensor way =
        parameter.tensor.narrow(0, own.first, own.count).sub(remembered_.find(parameter)->anchor);
    at::Tensor& whole = learned[static_cast<std::size_t>(index)].fisher;
    whole = at::zeros_like(parameter.tensor);
    whole.narrow(0, own.first, own.count).copy_(importance_of(path, way));
  }
  for (const LowRankPair& pair : remembered_.pairs()) {
    const at::Tensor way = change_of(pair).sub_(remembered_.find(pair.weight)->anchor);
    learned[static_cast<std::size_t>(pair.weight.index)].fisher =
        importance_of(changes_->of(pair.weight), way);
  }
  remembered_.join(context, learned);
}

namespace {

class Followed : public Optimizer {
 public:
  Followed(std::unique_ptr<Optimizer> optimizer, const PathIntegral& path)
      : optimizer_(std::move(optimizer)), path_(path) {}

  void step(const Gradients& gradients, std::int64_t step, double learning_rate) override {
    for (const GradientEntry& entry : gradients.entries) {
      const Gradients one{{entry}, gradients.scale, gradients.spread};
      path_.follow(entry, [&] { optimizer_->step(one, step, learning_rate); });
    }
  }

  StateDict state() const override {
    StateDict state = optimizer_->state();
    state.insert(state.end(), path_.state().begin(), path_.state().end());
    return state;
  }

 private:
  std::unique_ptr<Optimizer> optimizer_;
  const PathIntegral& path_;
};

}  // namespace

std::unique_ptr<Optimizer> followed(std::unique_ptr<Optimizer> optimizer,
                                    const PathIntegral& path) {
  return std::make_unique<Followed>(std::move(optimizer), path);
}

}  // namespace moesaic
