// What happens to a step whose loss or gradient is not finite.
#pragma once

#include <memory>
#include <string>

#include "comm/communicator.h"
#include "core/log.h"
#include "parallel/step.h"

namespace moesaic {

/// How a run goes on; the step's gradient is dropped.
enum class AfterNotFinite {
  kSkip,    // to the next step
  kRewind,  // back to the last checkpoint, without the batches of the step
};

class NotFinitePolicy {
 public:
  virtual ~NotFinitePolicy() = default;
  /// `values`: those that are not finite, " loss = nan grad_norm = inf", equal on all ranks unless
  /// one of them is faulty; "" = all are finite. A policy that goes on returns "" on all ranks or
  /// on none, by a collective over world; where the run stops anyway, `values` will do.
  virtual std::string agreed(const Communicator& /*world*/, const std::string& values) const {
    return values;
  }
  /// Where agreed() has returned `values`. A policy that stops the run throws.
  virtual AfterNotFinite meet(const Step& step, const std::string& values) = 0;
};

/// Error(kRecipe).
std::unique_ptr<NotFinitePolicy> stop_when_not_finite();

/// Goes on with the next step, and says so.
std::unique_ptr<NotFinitePolicy> skip_when_not_finite(const Log& log);

/// Goes back, but once for each number of a step: then Error(kRecipe).
std::unique_ptr<NotFinitePolicy> rewind_when_not_finite();

/// By its name in a recipe: stop | skip | rewind.
std::unique_ptr<NotFinitePolicy> not_finite_policy(const std::string& name, const Log& log);

}  // namespace moesaic
