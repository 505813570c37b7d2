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
      const auto weights = entry.updated_of(entry.weight());
      const auto rows = entry.updated_of(entry.gradient);
      for (std::size_t i = 0; i < weights.size(); ++i) {
        const at::Tensor update = update_of(entry, i, weights[i], rows[i], gradients.scale);
        at::Tensor(weights[i]).sub_(update, learning_rate * entry.parameter.learning_rate_ratio);
        at::Tensor(rows[i]).zero_();
      }
    }
  }

  StateDict state() const override { return state_; }

 private:
  // Of piece `i` of what is updated.
  at::Tensor update_of(const GradientEntry& entry, std::size_t i, const at::Tensor& weight,
                       const at::Tensor& gradient, double scale) {
    const Parameter& parameter = entry.parameter;
    at::Tensor update = scale == 1 ? gradient : gradient.mul(scale);
    const double decay = parameter.weight_decay.value_or(options_.weight_decay);
    if (parameter.decay && decay != 0) update = update.add(weight, decay);
    if (options_.momentum == 0) return update;
    const at::Tensor& momentum = momentum_.at(static_cast<std::size_t>(parameter.index));
    return at::Tensor(entry.updated_of(momentum)[i]).mul_(options_.momentum).add_(update);
  }

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
