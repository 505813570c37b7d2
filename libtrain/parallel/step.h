// Step: what is known of a training step before it begins, equal on all ranks.
#pragma once

#include <cstdint>

#include "data/step_data.h"

namespace moesaic {

struct Step {
  std::int64_t number = 1;  // from 1
  StepSize size;
  double learning_rate = 0;
  bool logged = false;     // its row of metrics is written
  bool diagnosed = false;  // every expert is run, to compare gradients (moe.diagnose_every)
};

}  // namespace moesaic
