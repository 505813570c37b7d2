// A sink that keeps gradients by parameter index, and a context for operations outside a trainer.
#pragma once

#include <ATen/ops/zeros_like.h>

#include <map>

#include "data/batch_builder.h"
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

/// The ids t (t + 7) modulo `vocabulary`, t = first, first + 1 ...
inline std::vector<std::int64_t> some_ids(std::int64_t first, std::int64_t count,
                                          std::int64_t vocabulary) {
  std::vector<std::int64_t> ids;
  for (std::int64_t t = first; t < first + count; ++t) ids.push_back(t * (t + 7) % vocabulary);
  return ids;
}

/// Documents of `lengths` tokens, whose ids go on from one to the next; each is an example, or all
/// are one.
inline Batch batch_of(const std::vector<std::int64_t>& lengths, std::int64_t vocabulary,
                      std::int64_t start = 0, bool one_example = false) {
  BatchBuilder batch;
  std::int64_t documents = 0;
  for (const std::int64_t length : lengths) {
    batch.add(some_ids(start, length + 1, vocabulary), {.example = one_example ? 0 : documents});
    start += length;
    ++documents;
  }
  return batch.build();
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
