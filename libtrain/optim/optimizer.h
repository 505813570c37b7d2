// Optimizer: gradient -> new parameter values. State is kept per parameter and saved by global
// name.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "config/recipe.h"
#include "data/task_steps.h"
#include "parallel/gradients.h"
#include "parallel/ownership.h"
#include "parallel/state_dict.h"

namespace moesaic {

class Optimizer {
 public:
  virtual ~Optimizer() = default;
  /// One step, numbered from 1, with this learning rate times each parameter's own ratio. Uses the
  /// gradients up: they are zero afterwards. Local, but for what gathers (below).
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
/// `ownership`: state is kept of the rows that this rank owns, those that it is given gradients of;
/// nullptr: of all. It is read here alone; so in the functions that follow.
std::unique_ptr<Optimizer> make_adamw(const ParameterSet& parameters, const AdamWOptions& options,
                                      const Ownership* ownership = nullptr);

/// Stochastic gradient descent: m = momentum * m + g + weight_decay * w; w -= learning_rate * m.
struct SgdOptions {
  double momentum = 0;  // 0 keeps no state
  double weight_decay = 0;
};
std::unique_ptr<Optimizer> make_sgd(const ParameterSet& parameters, const SgdOptions& options,
                                    const Ownership* ownership = nullptr);

/// The optimizer of a recipe.
std::unique_ptr<Optimizer> make_optimizer(const OptimizerOptions& options,
                                          const ParameterSet& parameters,
                                          const Ownership* ownership = nullptr);

/// Each rank updates the rows that it owns by `optimizer`; then `gather` brings it those of the
/// others. A step is collective where `gather` is.
std::unique_ptr<Optimizer> gathering(std::unique_ptr<Optimizer> optimizer,
                                     std::function<void()> gather);

/// Its steps count from 1 in each task.
std::unique_ptr<Optimizer> numbered_by_task(std::unique_ptr<Optimizer> optimizer, TaskSteps tasks);

/// Its steps count from 1 again after every `steps`.
std::unique_ptr<Optimizer> numbered_by_round(std::unique_ptr<Optimizer> optimizer,
                                             std::int64_t steps);

/// Its state as it was before the first step. Local.
void forget(const Optimizer& optimizer);

/// For an optimizer: zeros for each value of `parameter` that this rank updates, with their name
/// and place in a checkpoint.
StateEntry zero_state(const Parameter& parameter, const std::string& prefix,
                      const Ownership* ownership);

}  // namespace moesaic
