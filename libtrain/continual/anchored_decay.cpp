#include "continual/anchored_decay.h"

#include <deque>
#include <utility>

namespace moesaic {
namespace {

class DecayingToAnchors : public Optimizer {
 public:
  DecayingToAnchors(std::unique_ptr<Optimizer> optimizer, const Remembered& remembered,
                    double weight_decay)
      : optimizer_(std::move(optimizer)), remembered_(remembered), weight_decay_(weight_decay) {}

  // The decay comes first, and apart: a weight at its anchor without a gradient stays as it is to
  // the bit. Off by a rounding it would be pulled back, and Adam makes a step of any pull.
  void step(const Gradients& gradients, std::int64_t step, double learning_rate) override {
    if (!remembered_.knows()) return optimizer_->step(gradients, step, learning_rate);
    std::deque<Parameter> decayed;  // which the optimizer decays no more
    Gradients rest{.scale = gradients.scale, .spread = gradients.spread};
    for (const GradientEntry& entry : gradients.entries) {
      if (!decay(entry, learning_rate)) {
        rest.entries.push_back(entry);
        continue;
      }
      decayed.push_back(entry.parameter);
      decayed.back().decay = false;
      rest.entries.push_back({decayed.back(), entry.gradient, entry.rows, entry.updated});
    }
    optimizer_->step(rest, step, learning_rate);
  }

  StateDict state() const override { return optimizer_->state(); }

 private:
  // -> whether it has an anchor, and is to decay.
  bool decay(const GradientEntry& entry, double learning_rate) const {
    const Parameter& parameter = entry.parameter;
    const Remembered::Of* of = remembered_.find(parameter);
    const double decay = parameter.weight_decay.value_or(weight_decay_);
    if (of == nullptr || !parameter.decay || decay == 0) return false;
    const double rate = learning_rate * parameter.learning_rate_ratio * decay;
    const auto weights = entry.updated_of(entry.weight());
    const auto anchors = entry.updated_of(of->anchor);
    for (std::size_t i = 0; i < weights.size(); ++i) at::Tensor(weights[i]).lerp_(anchors[i], rate);
    return true;
  }

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
