#include <ATen/ops/_foreach_mul.h>
#include <ATen/ops/_foreach_zero.h>
#include <ATen/ops/_fused_adamw.h>
#include <ATen/ops/scalar_tensor.h>

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
  AdamW(const ParameterSet& parameters, const AdamWOptions& options, const Ownership* ownership)
      : options_(options) {
    moments_.resize(parameters.size());
    for (const Parameter& parameter : parameters) {
      if (!parameter.trainable) continue;
      auto& slot = moments_[static_cast<std::size_t>(parameter.index)];
      state_.push_back(zero_state(parameter, "exp_avg", ownership));
      slot.first = state_.back().tensor;
      state_.push_back(zero_state(parameter, "exp_avg_sq", ownership));
      slot.second = state_.back().tensor;
    }
  }

  void step(const Gradients& gradients, std::int64_t step, double learning_rate) override {
    Entries on_device;
    for (const auto& entry : gradients.entries) {
      if (entry.gradient.numel() == 0) continue;
      if (entry.gradient.is_cpu())
        step_on_cpu(entry, gradients.scale, step, learning_rate);
      else
        on_device.push_back(&entry);
    }
    for (const auto& [rates, entries] : by_rates(on_device, learning_rate))
      step_on_device(entries, rates, gradients.scale, step);
  }

  StateDict state() const override { return state_; }

 private:
  using Entries = std::vector<const GradientEntry*>;
  /// Of one parameter in one step.
  struct Rates {
    double learning_rate = 0, weight_decay = 0;
    auto operator<=>(const Rates&) const = default;
  };

  Rates rates_of(const Parameter& parameter, double learning_rate) const {
    return {.learning_rate = learning_rate * parameter.learning_rate_ratio,
            .weight_decay =
                parameter.decay ? parameter.weight_decay.value_or(options_.weight_decay) : 0.0};
  }

  std::map<Rates, Entries> by_rates(const Entries& entries, double learning_rate) const {
    std::map<Rates, Entries> groups;
    for (const GradientEntry* entry : entries)
      groups[rates_of(entry->parameter, learning_rate)].push_back(entry);
    return groups;
  }

  void step_on_cpu(const GradientEntry& entry, double scale, std::int64_t step,
                   double learning_rate) {
    const auto t = static_cast<double>(step);
    const auto& [exp_avg, exp_avg_sq] = moments_of(entry.parameter);
    const Rates rates = rates_of(entry.parameter, learning_rate);
    const auto weights = entry.updated_of(entry.weight());
    const auto gradients = entry.updated_of(entry.gradient);
    const auto first = entry.updated_of(exp_avg), second = entry.updated_of(exp_avg_sq);
    for (std::size_t i = 0; i < weights.size(); ++i) {
      cpu::adamw({.beta1 = options_.beta1,
                  .beta2 = options_.beta2,
                  .eps = options_.eps,
                  .decay = rates.learning_rate * rates.weight_decay,
                  .step_size = rates.learning_rate / (1 - std::pow(options_.beta1, t)),
                  .variance_scale = 1 / (1 - std::pow(options_.beta2, t)),
                  .gradient_scale = scale},
                 weights[i], gradients[i], first[i], second[i]);
    }
  }

  // All parameters of the same rates by a few kernels.
  void step_on_device(const Entries& entries, const Rates& rates, double scale, std::int64_t step) {
    std::vector<at::Tensor> weights, gradients, first, second;
    const auto append = [](const std::vector<at::Tensor>& pieces, std::vector<at::Tensor>& all) {
      all.insert(all.end(), pieces.begin(), pieces.end());
    };
    for (const GradientEntry* entry : entries) {
      const auto& [exp_avg, exp_avg_sq] = moments_of(entry->parameter);
      append(entry->updated_of(entry->weight()), weights);
      append(entry->updated_of(entry->gradient), gradients);
      append(entry->updated_of(exp_avg), first);
      append(entry->updated_of(exp_avg_sq), second);
    }
    if (weights.empty()) return;
    // The kernel advances nothing: it reads the number of this step.
    const std::vector<at::Tensor> steps(
        weights.size(), at::scalar_tensor(static_cast<double>(step),
                                          gradients.front().options().dtype(at::kFloat)));
    if (scale != 1) at::_foreach_mul_(gradients, scale);
    at::_fused_adamw_(weights, gradients, first, second, {}, steps, rates.learning_rate,
                      options_.beta1, options_.beta2, rates.weight_decay, options_.eps, false,
                      false);
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

std::unique_ptr<Optimizer> make_adamw(const ParameterSet& parameters, const AdamWOptions& options,
                                      const Ownership* ownership) {
  return std::make_unique<AdamW>(parameters, options, ownership);
}

}  // namespace moesaic
