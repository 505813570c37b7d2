#include "continual/anchored_decay.h"

#include <utility>

namespace moesaic {
namespace {

class DecayingToAnchors : public Optimizer {
 public:
  DecayingToAnchors(std::unique_ptr<Optimizer> optimizer, const Remembered& remembered,
                    double weight_decay)
      : optimizer_(std::move(optimizer)), remembered_(remembered), weight_decay_(weight_decay) {}

  void step(const Gradients& gradients, std::int64_t step, double learning_rate) override {
    optimizer_->step(gradients, step, learning_rate);
    if (!remembered_.knows()) return;
    for (const GradientEntry& entry : gradients.entries) {
      const Parameter& parameter = entry.parameter;
      const Remembered::Of* of = remembered_.find(parameter);
      const double decay = parameter.weight_decay.value_or(weight_decay_);
      if (of == nullptr || !parameter.decay || decay == 0) continue;
      const double rate = learning_rate * parameter.learning_rate_ratio * decay;
      const auto weights = entry.updated_of(entry.weight());
      const auto anchors = entry.updated_of(of->anchor);
      for (std::size_t i = 0; i < weights.size(); ++i)
        at::Tensor(weights[i]).add_(anchors[i], rate);
    }
  }

  StateDict state() const override { return optimizer_->state(); }

 private:
  std::unique_ptr<Optimizer> optimizer_;
  const Remembered& remembered_;
  double weight_decay_;
};

}  // namespace

std::unique_ptr<Optimizer> decaying_to_anchors(std::unique_ptr<Optimizer> optimizer,
                                               const Remembered& remembered, double weight_decay) {
  return std::make_unique<DecayingToAnchors>(std::move(optimizer), remembered, weight_decay);
}

}  // namespace moesaic
