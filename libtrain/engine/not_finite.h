// What happens to a step whose loss or gradient is not finite.
#pragma once

#include <memory>
#include <string>

#include "parallel/step.h"

namespace moesaic {

class NotFinitePolicy {
 public:
  virtual ~NotFinitePolicy() = default;
  /// `values`: those that are not finite, " loss = nan grad_norm = inf". Called on all ranks. When
  /// it returns, the step's gradient is dropped and the run goes on; a policy that stops the run
  /// throws.
  virtual void meet(const Step& step, const std::string& values) = 0;
};

/// Error(kRecipe).
std::unique_ptr<NotFinitePolicy> stop_when_not_finite();

}  // namespace moesaic
