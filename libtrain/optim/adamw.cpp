#include <ATen/ops/_foreach_mul.h>
#include <ATen/ops/_foreach_zero.h>
#include <ATen/ops/_fused_adamw.h>
#include <ATen/ops/scalar_tensor.h>
#include <ATen/ops/zeros_like.h>

#include <cmath>
#include <compare>
#include <map>

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
    std::map<DeviceGroup, std::vector<const GradientEntry*>> on_device;
    for (const auto& entry : gradients.entries) {
      if (entry.gradient.numel() == 0) continue;
      const double own_rate = learning_rate * entry.parameter.learning_rate_ratio;
      if (entry.gradient.is_cpu())
        step_on_cpu(entry, gradients.scale, step, own_rate);
      else
        on_device[{entry.parameter.decay, own_rate}].push_back(&entry);
    }
    for (const auto& [group, entries] : on_device)
      step_on_device(entries, group, gradients.scale, step);
  }

  StateDict state() const override { return state_; }

 private:
  void step_on_cpu(const GradientEntry& entry, double scale, std::int64_t step,
                   double learning_rate) {
    const auto t = static_cast<double>(step);
    const auto& [exp_avg, exp_avg_sq] = moments_of(entry.parameter);
    cpu::adamw({.beta1 = options_.beta1,
                .beta2 = options_.beta2,
                .eps = options_.eps,
                .decay = entry.parameter.decay ? learning_rate * options_.weight_decay : 0.0,
                .step_size = learning_rate / (1 - std::pow(options_.beta1, t)),
                .variance_scale = 1 / (1 - std::pow(options_.beta2, t)),
                .gradient_scale = scale},
               entry.parameter.tensor, entry.gradient, exp_avg, exp_avg_sq);
  }

  // Parameters that a few kernels change together.
  struct DeviceGroup {
    bool decay;
    double learning_rate;
    auto operator<=>(const DeviceGroup&) const = default;
  };

  void step_on_device(const std::vector<const GradientEntry*>& entries, const DeviceGroup& group,
                      double scale, std::int64_t step) {
    std::vector<at::Tensor> weights, gradients, first, second;
    for (const GradientEntry* entry : entries) {
      const auto& [exp_avg, exp_avg_sq] = moments_of(entry->parameter);
      weights.push_back(entry->parameter.tensor);
      gradients.push_back(entry->gradient);
      first.push_back(exp_avg);
      second.push_back(exp_avg_sq);
    }
    // The kernel advances nothing: it reads the number of this step.
    const std::vector<at::Tensor> steps(
        weights.size(), at::scalar_tensor(static_cast<double>(step),
                                          gradients.front().options().dtype(at::kFloat)));
    if (scale != 1) at::_foreach_mul_(gradients, scale);
    at::_fused_adamw_(weights, gradients, first, second, {}, steps, group.learning_rate,
                      options_.beta1, options_.beta2, group.decay ? options_.weight_decay : 0.0,
                      options_.eps, false, false);
    at::_foreach_zero_(gradients);
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
