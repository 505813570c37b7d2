#include <ATen/ops/zeros_like.h>

#include "optim/optimizer.h"

namespace moesaic {
namespace {

class Sgd : public Optimizer {
 public:
  Sgd(const ParameterSet& parameters, const SgdOptions& options) : options_(options) {
    momentum_.resize(parameters.size());
    if (options.momentum == 0) return;
    for (const Parameter& parameter : parameters) {
      if (!parameter.trainable) continue;
      at::Tensor& slot = momentum_[static_cast<std::size_t>(parameter.index)];
      slot = at::zeros_like(parameter.tensor);
      state_.push_back(entry_like(parameter, "momentum", slot));
    }
  }

  void step(const Gradients& gradients, std::int64_t, double learning_rate) override {
    for (const auto& [parameter, gradient] : gradients.entries) {
      at::Tensor weight = parameter.tensor;
      at::Tensor update = gradients.scale == 1 ? gradient : gradient.mul(gradients.scale);
      if (parameter.decay && options_.weight_decay != 0)
        update = update.add(weight, options_.weight_decay);
      if (options_.momentum != 0) {
        update = momentum_.at(static_cast<std::size_t>(parameter.index))
                     .mul_(options_.momentum)
                     .add_(update);
      }
      weight.sub_(update, learning_rate * parameter.learning_rate_ratio);
      at::Tensor(gradient).zero_();
    }
  }

  StateDict state() const override { return state_; }

 private:
  SgdOptions options_;
  std::vector<at::Tensor> momentum_;  // by parameter index
  StateDict state_;
};

}  // namespace

std::unique_ptr<Optimizer> make_sgd(const ParameterSet& parameters, const SgdOptions& options) {
  return std::make_unique<Sgd>(parameters, options);
}

}  // namespace moesaic
