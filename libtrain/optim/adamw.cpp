#include <ATen/ops/_fused_adamw.h>
#include <ATen/ops/scalar_tensor.h>
#include <ATen/ops/zeros_like.h>

#include <cmath>

#include "core/error.h"
#include "optim/cpu/loops.h"
#include "optim/optimizer.h"

namespace moesaic {
namespace {

class AdamW : public Optimizer {
 public:
  AdamW(const ParameterSet& parameters, const AdamWOptions& options) : options_(options) {
    moments_.resize(parameters.size());
    for (const Parameter& parameter : parameters) {
      if (!parameter.trainable) continue;
      auto& slot = moments_[static_cast<std::size_t>(parameter.index)];
      slot = {at::zeros_like(parameter.tensor), at::zeros_like(parameter.tensor)};
      state_.push_back(entry_like(parameter, "exp_avg", slot.first));
      state_.push_back(entry_like(parameter, "exp_avg_sq", slot.second));
    }
  }

  void step(const Gradients& gradients, std::int64_t step, double learning_rate) override {
    for (const auto& entry : gradients.entries) {
      if (entry.gradient.numel() == 0) continue;
      if (entry.gradient.is_cpu())
        step_on_cpu(entry, gradients.scale, step, learning_rate);
      else
        step_on_device(entry, gradients.scale, step, learning_rate);
    }
  }

  StateDict state() const override { return state_; }

 private:
  double decay_of(const Parameter& parameter) const {
    return parameter.decay ? options_.weight_decay : 0.0;
  }

  void step_on_cpu(const GradientEntry& entry, double scale, std::int64_t step,
                   double learning_rate) {
    const auto t = static_cast<double>(step);
    const auto& [exp_avg, exp_avg_sq] = moments_of(entry.parameter);
    cpu::adamw({.beta1 = options_.beta1,
                .beta2 = options_.beta2,
                .eps = options_.eps,
                .decay = learning_rate * decay_of(entry.parameter),
                .step_size = learning_rate / (1 - std::pow(options_.beta1, t)),
                .variance_scale = 1 / (1 - std::pow(options_.beta2, t)),
                .gradient_scale = scale},
               entry.parameter.tensor, entry.gradient, exp_avg, exp_avg_sq);
  }

  void step_on_device(const GradientEntry& entry, double scale, std::int64_t step,
                      double learning_rate) {
    at::Tensor gradient = entry.gradient;
    if (scale != 1) gradient.mul_(scale);
    const auto& [exp_avg, exp_avg_sq] = moments_of(entry.parameter);
    // The kernel advances nothing: it reads the number of this step.
    const at::Tensor number =
        at::scalar_tensor(static_cast<double>(step), gradient.options().dtype(at::kFloat));
    at::_fused_adamw_(entry.parameter.tensor, gradient, exp_avg, exp_avg_sq, {}, number,
                      learning_rate, options_.beta1, options_.beta2, decay_of(entry.parameter),
                      options_.eps, false, false);
    gradient.zero_();
  }

  const std::pair<at::Tensor, at::Tensor>& moments_of(const Parameter& parameter) const {
    const auto& slot = moments_.at(static_cast<std::size_t>(parameter.index));
    MOESAIC_ASSERT(slot.first.defined());
    return slot;
  }

  AdamWOptions options_;
  std::vector<std::pair<at::Tensor, at::Tensor>> moments_;  // by parameter index
  StateDict state_;
};

}  // namespace

std::unique_ptr<Optimizer> make_adamw(const ParameterSet& parameters, const AdamWOptions& options) {
  return std::make_unique<AdamW>(parameters, options);
}

}  // namespace moesaic
