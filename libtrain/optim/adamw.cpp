#include <ATen/ops/_fused_adamw.h>
#include <ATen/ops/scalar_tensor.h>
#include <ATen/ops/zeros_like.h>

#include "core/error.h"
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
    for (const bool decay : {true, false}) {
      std::vector<at::Tensor> weights, grads, first, second, steps;
      // The kernel advances nothing: it reads the number of this step.
      const at::Tensor number = at::scalar_tensor(
          static_cast<double>(step), gradients.front().gradient.options().dtype(at::kFloat));
      for (const auto& [parameter, gradient] : gradients) {
        if (parameter.decay != decay || gradient.numel() == 0) continue;
        const auto& slot = moments_.at(static_cast<std::size_t>(parameter.index));
        MOESAIC_ASSERT(slot.first.defined());
        weights.push_back(parameter.tensor);
        grads.push_back(gradient);
        first.push_back(slot.first);
        second.push_back(slot.second);
        steps.push_back(number);
      }
      if (weights.empty()) continue;
      at::_fused_adamw_(weights, grads, first, second, {}, steps, learning_rate, options_.beta1,
                        options_.beta2, decay ? options_.weight_decay : 0.0, options_.eps, false,
                        false);
    }
  }

  StateDict state() const override { return state_; }

 private:
  AdamWOptions options_;
  std::vector<std::pair<at::Tensor, at::Tensor>> moments_;  // by parameter index
  StateDict state_;
};

}  // namespace

std::unique_ptr<Optimizer> make_adamw(const ParameterSet& parameters, const AdamWOptions& options) {
  return std::make_unique<AdamW>(parameters, options);
}

}  // namespace moesaic
