// A sink that keeps gradients by parameter index, and a context for operations outside a trainer.
#pragma once

#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/zeros_like.h>

#include <deque>
#include <map>
#include <string>
#include <vector>

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
    if (!gradient.defined()) gradient = at::zeros_like(parameter.tensor);
    return gradient;
  }
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
