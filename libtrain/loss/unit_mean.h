// UnitMean: losses that are means over each unit of a batch alone (a unit of privacy: an example of
// the batch), so that what a unit adds to the step's loss depends on nothing else in the step.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "data/batch.h"

namespace moesaic {

struct UnitMean {
  double units = 1;  // what the sum over the units of a step is divided by; from the recipe

  // Every unit is whole in the batch.

  /// float64 [T]: 1 / (targets of the row's unit x units).
  at::Tensor of_targets(const Batch& batch) const;
  /// Of each document: 1 / (documents of its unit x units).
  std::vector<double> of_documents(const Batch& batch) const;
  /// float64 [T]: that of the row's document, over the rows of the document.
  at::Tensor of_rows(const Batch& batch) const;
};

}  // namespace moesaic
