// Optimizer: gradient -> new parameter values. State is kept per parameter and saved by global
// name.
#pragma once

#include <memory>
#include <vector>

#include "config/recipe.h"
#include "parallel/gradients.h"
#include "parallel/state_dict.h"

namespace moesaic {

class Optimizer {
 public:
  virtual ~Optimizer() = default;
  /// One step, numbered from 1, with this learning rate times each parameter's own ratio. Uses the
  /// gradients up: they are zero afterwards. Local.
  virtual void step(const Gradients& gradients, std::int64_t step, double learning_rate) = 0;
  /// The live state, for the checkpoint.
  virtual StateDict state() const = 0;
};

/// Adam with decoupled weight decay (Loshchilov and Hutter 2019, algorithm 2; the decay is
/// multiplied by the learning rate), not on norms and biases. Moments have the master dtype.
struct AdamWOptions {
  double beta1 = 0.9;
  double beta2 = 0.95;
  double eps = 1e-8;
  double weight_decay = 0.1;
};
std::unique_ptr<Optimizer> make_adamw(const ParameterSet& parameters, const AdamWOptions& options);

/// Stochastic gradient descent: m = momentum * m + g + weight_decay * w; w -= learning_rate * m.
struct SgdOptions {
  double momentum = 0;  // 0 keeps no state
  double weight_decay = 0;
};
std::unique_ptr<Optimizer> make_sgd(const ParameterSet& parameters, const SgdOptions& options);

/// The optimizer of a recipe.
std::unique_ptr<Optimizer> make_optimizer(const OptimizerOptions& options,
                                          const ParameterSet& parameters);

}  // namespace moesaic
