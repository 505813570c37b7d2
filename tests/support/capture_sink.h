// A sink that keeps gradients by parameter index, and a context for operations outside a trainer.
#pragma once

#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/zeros_like.h>

#include <map>

#include "nn/forward_context.h"

namespace moesaic::test {

class CaptureSink : public GradientSink {
 public:
  void expect(const Parameter& parameter) override { ++open[parameter.index]; }
  void accumulate(const ParameterUse& use) override {
    at::Tensor& gradient = gradients[use.parameter.index];
    if (!gradient.defined()) gradient = at::zeros_like(use.parameter.tensor);
    add_gradient(use, gradient, MatmulKernel::kMkl);
    --open[use.parameter.index];
  }

  std::map<std::int64_t, at::Tensor> gradients;
  std::map<std::int64_t, int> open;  // uses announced and not yet done: 0 after backward
};

/// One batch of `lengths` sequences with ids 0, 1, 2 ... modulo `vocabulary` and targets the next
/// ids.
inline Batch batch_of(const std::vector<std::int64_t>& lengths, std::int64_t vocabulary,
                      std::int64_t start = 0) {
  Batch batch;
  std::vector<at::Tensor> positions, examples;
  for (const std::int64_t length : lengths) {
    positions.push_back(at::arange(length, at::kLong));
    examples.push_back(at::zeros_like(positions.back()).add_(batch.sequences()));
    batch.sequence_offsets.push_back(batch.sequence_offsets.back() + length);
  }
  const at::Tensor t = at::arange(start, start + batch.tokens() + 1, at::kLong);
  const at::Tensor ids = t.mul(t).add(t.mul(7)).remainder(vocabulary);
  batch.ids_T = ids.narrow(0, 0, batch.tokens()).clone();
  batch.targets_T = ids.narrow(0, 1, batch.tokens()).clone();
  batch.positions_T = at::cat(positions);
  batch.example_id_T = at::cat(examples);
  return batch;
}

struct Fixture {
  Batch batch = batch_of({3, 3, 5}, 11);
  WeightCopies weights;
  CaptureSink sink;
  ParameterSet parameters;
  ForwardContext context{batch, Precision::named("float64"), MatmulKernel::kMkl, weights,
                         &sink, Communicator::single()};

  Parameter parameter(const at::Tensor& value, const std::string& name = "p") {
    Parameter parameter;
    parameter.name = name + std::to_string(parameters.size());
    parameter.tensor = value;
    parameter.global_shape = value.sizes().vec();
    parameters.add(parameter);
    return parameter;
  }
};

}  // namespace moesaic::test
