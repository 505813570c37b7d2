// A sink that keeps the gradient of each example apart, by weights of 1 and 0 for rows.
#pragma once

#include <ATen/ops/zeros_like.h>

#include <cstdint>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include "nn/gradient_sink.h"

namespace moesaic::test {

class ExampleSink : public GradientSink {
 public:
  void open(const Parameter& parameter) override { parameters_[parameter.index] = &parameter; }
  void add(const ParameterUse& use) override {
    const at::Tensor example_R = use.example_R.contiguous();
    const auto* ids = example_R.const_data_ptr<std::int64_t>();
    for (const std::int64_t e : std::set<std::int64_t>(ids, ids + example_R.numel())) {
      ParameterUse own = use;
      own.weight_R = example_R.eq(e);
      add_gradient(own, of(e, use.parameter.index), MatmulKernel::kMkl);
    }
  }
  void close(const Parameter& /*parameter*/, const HandOverAgain& /*again*/) override {}

  /// Zeros where the example has no row.
  at::Tensor part(std::int64_t example, std::int64_t index) { return of(example, index); }

 private:
  at::Tensor& of(std::int64_t example, std::int64_t index) {
    at::Tensor& gradient = parts_[{example, index}];
    if (!gradient.defined()) gradient = at::zeros_like(parameters_.at(index)->tensor);
    return gradient;
  }

  std::map<std::int64_t, const Parameter*> parameters_;
  std::map<std::pair<std::int64_t, std::int64_t>, at::Tensor> parts_;
};

}  // namespace moesaic::test
