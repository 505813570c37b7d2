// A sink that keeps gradients by parameter index, and a context for operations outside a trainer.
#pragma once

#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

#include <deque>
#include <map>
#include <string>
#include <vector>

#include "data/batch_builder.h"
#include "nn/forward_context.h"
#include "support/parameters.h"

namespace moesaic::test {

class CaptureSink : public GradientSink {
 public:
  void open(const Parameter& parameter) override { ++open_operations[parameter.index]; }
  void add(const ParameterUse& use) override {
    add_gradient(use, gradient_of(use.parameter), MatmulKernel::kMkl);
  }
  void close(const Parameter& parameter, const HandOverAgain& hand_over_again) override {
    gradient_of(parameter);
    --open_operations[parameter.index];
    if (hand_over_again) again.push_back(hand_over_again);
  }

  std::map<std::int64_t, at::Tensor> gradients;
  std::map<std::int64_t, int> open_operations;  // 0 after backward
  std::vector<HandOverAgain> again;             // of operations whose uses were passing

 private:
  at::Tensor& gradient_of(const Parameter& parameter) {
    at::Tensor& gradient = gradients[parameter.index];
    if (gradient.defined()) return gradient;
    // A weight in codes has no values of its own to be like.
    gradient = parameter.quantised.defined()
                   ? at::zeros(parameter.tensor.sizes(), parameter.tensor.scalar_type())
                   : at::zeros_like(parameter.tensor);
    return gradient;
  }
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
  Computation computation{.precision = Precision::named("float64"),
                          .world = Communicator::single()};
  CaptureSink sink;
  std::deque<Parameter> parameters;
  ForwardContext context = in_training();

  ForwardContext in_training() {
    ForwardContext forward = computation.forward(batch);
    forward.sink = &sink;
    forward.training = true;
    return forward;
  }
  const Parameter& parameter(const at::Tensor& value, const std::string& name = "p") {
    const std::string full_name = name + std::to_string(parameters.size());
    parameters.push_back(parameter_of(full_name, value));
    parameters.back().index = std::ssize(parameters) - 1;
    return parameters.back();
  }
};

}  // namespace moesaic::test
