// What the tests on a device share: an operation runs on the CPU, whose own code is the oracle, and
// on the device, from the same values; outputs and gradients must agree.
#pragma once

#include <ATen/ops/empty.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <deque>
#include <functional>
#include <string>
#include <vector>

#include "nn/autograd.h"
#include "support/capture_sink.h"
#include "support/cuda_device.h"

namespace moesaic::test {

/// Skips without a device. MOESAIC_GPU_TESTS_ON=cpu runs the tests with the CPU in its place: that
/// checks the tests alone.
class DeviceTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const char* on = std::getenv("MOESAIC_GPU_TESTS_ON");
    if (on != nullptr && std::string(on) == "cpu") return;
    const CudaDevice cuda = find_cuda_device();
    if (!cuda.device) GTEST_SKIP() << cuda.reason;
    device_ = *cuda.device;
  }
  at::Device device() const { return device_; }

 private:
  at::Device device_ = at::kCPU;
};

/// The relative error that a dtype may have, of the largest value of a tensor.
inline double allowed_in(at::ScalarType dtype) {
  return dtype == at::kBFloat16 ? 2e-2 : dtype == at::kFloat ? 2e-5 : 1e-10;
}

inline void expect_near(const at::Tensor& got, const at::Tensor& wanted, double allowed,
                        const std::string& what) {
  ASSERT_EQ(got.defined(), wanted.defined()) << what;
  if (!wanted.defined()) return;
  ASSERT_EQ(got.sizes(), wanted.sizes()) << what;
  if (wanted.numel() == 0) return;
  const at::Tensor right = wanted.detach().to(at::kCPU, at::kDouble);
  const at::Tensor error = got.detach().to(at::kCPU, at::kDouble).sub(right).abs();
  const double largest = std::max(1e-3, right.abs().max().item<double>());
  EXPECT_LE(error.max().item<double>(), allowed * largest) << what;  // also not when it is NaN
}

/// One run of an operation on a device. `values` are the same on all devices and require gradients
/// where they are floating.
class Bench {
 public:
  Bench(at::Device device, at::ScalarType master, at::ScalarType compute, const Batch& batch)
      : device_(device),
        here_(to_device(batch, device)),
        computation_{.precision = {master, compute}, .world = Communicator::single()},
        context(computation_.forward(here_)) {
    context.sink = &sink_;
    context.training = true;
  }
  Bench(const Bench&) = delete;
  Bench& operator=(const Bench&) = delete;

  const Batch& batch() const { return here_; }
  at::Tensor input(const at::Tensor& value) {
    // A copy: on the CPU as on the device it is this run's own.
    at::Tensor here = value.to(device_, value.scalar_type(), false, /*copy=*/true);
    if (!here.is_floating_point()) return here;
    inputs_.push_back(here.set_requires_grad(true));
    return here;
  }
  const Parameter& parameter(const at::Tensor& value) {
    parameters_.push_back(parameter_of("p" + std::to_string(parameters_.size()),
                                       value.to(device_, value.scalar_type(), false, true)));
    parameters_.back().index = std::ssize(parameters_) - 1;
    return parameters_.back();
  }
  /// A frozen weight that is kept as codes.
  const Parameter& quantised(arch::Storage storage, const at::Tensor& value) {
    parameters_.push_back(
        quantised_of("p" + std::to_string(parameters_.size()), storage, value, device_));
    parameters_.back().index = std::ssize(parameters_) - 1;
    return parameters_.back();
  }
  /// Backward from outputs, with gradients that are the same on all devices -> outputs and all
  /// gradients.
  Tensors results(const Tensors& outputs) {
    Tensors all = outputs;
    at::Tensor total;
    for (std::size_t i = 0; i < outputs.size(); ++i) {
      const at::Tensor& y = outputs[i];
      if (!y.requires_grad()) continue;
      const at::Tensor dy = some_values(y.sizes(), static_cast<double>(i));
      const at::Tensor part = y.to(at::kDouble).mul(dy.to(y.device())).sum();
      total = total.defined() ? total.add(part) : part;
    }
    if (total.defined()) total.backward();
    for (const at::Tensor& input : inputs_) all.push_back(input.grad());
    for (const auto& [index, gradient] : sink_.gradients) all.push_back(gradient);
    return all;
  }

 private:
  static at::Tensor some_values(at::IntArrayRef sizes, double phase) {
    at::Tensor values = at::empty(sizes, at::kDouble);
    double* out = values.mutable_data_ptr<double>();
    for (std::int64_t i = 0; i < values.numel(); ++i)
      out[i] = std::sin(static_cast<double>(i) * 0.7 + phase);
    return values;
  }

  at::Device device_;
  Batch here_;
  Computation computation_;
  CaptureSink sink_;
  std::deque<Parameter> parameters_;
  Tensors inputs_;

 public:
  ForwardContext context;
};

/// Compares `operation`, made of a Bench's inputs and parameters, on both devices in float32 and
/// bfloat16. It is given the compute dtype.
using Operation = std::function<Tensors(Bench& bench, at::ScalarType compute)>;
inline void compare(at::Device device, const Batch& batch, const Operation& operation) {
  for (const at::ScalarType compute : {at::kFloat, at::kBFloat16}) {
    Bench oracle(at::kCPU, at::kFloat, compute, batch), bench(device, at::kFloat, compute, batch);
    const Tensors wanted = oracle.results(operation(oracle, compute));
    const Tensors got = bench.results(operation(bench, compute));
    ASSERT_EQ(got.size(), wanted.size());
    for (std::size_t i = 0; i < got.size(); ++i)
      expect_near(got[i], wanted[i], allowed_in(compute),
                  std::string(c10::toString(compute)) + ", result " + std::to_string(i));
  }
}

}  // namespace moesaic::test
