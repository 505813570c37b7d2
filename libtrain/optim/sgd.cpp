#include "optim/optimizer.h"

namespace moesaic {
namespace {

class Sgd : public Optimizer {
 public:
  Sgd(const ParameterSet& parameters, const SgdOptions& options, const Ownership* ownership)
      : options_(options) {
    momentum_.resize(parameters.size());
    if (options.momentum == 0) return;
    for (const Parameter& parameter : parameters) {
      if (!parameter.trainable) continue;
      state_.push_back(zero_state(parameter, "momentum", ownership));
      momentum_[static_cast<std::size_t>(parameter.index)] = state_.back().tensor;
    }
  }

  void step(const Gradients& gradients, std::int64_t, double learning_rate) override {
    for (const GradientEntry& entry : gradients.entries) {
      const Parameter& parameter = entry.parameter;
      const at::Tensor& gradient = entry.gradient;
      at::Tensor weight = entry.weight();
      at::Tensor update = gradients.scale == 1 ? gradient : gradient.mul(gradients.scale);
      const double decay = parameter.weight_decay.value_or(options_.weight_decay);
      if (parameter.decay && decay != 0) update = update.add(weight, decay);
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

std::unique_ptr<Optimizer> make_sgd(const ParameterSet& parameters, const SgdOptions& options,
                                    const Ownership* ownership) {
  return std::make_unique<Sgd>(parameters, options, ownership);
}

}  // namespace moesaic
