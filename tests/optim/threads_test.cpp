// The passes over parameters have the same bits on any number of threads.
#include <ATen/ops/ones.h>
#include <ATen/ops/rand.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/scalar_tensor.h>
#include <gtest/gtest.h>

#include "optim/cpu/loops.h"
#include "support/threads_for.h"

namespace moesaic {
namespace {

TEST(OptimizerLoops, AreTheSameOnAnyThreads) {
  constexpr std::int64_t kValues = 3 * (1 << 15) + 77;
  const cpu::AdamWStep step{.beta1 = 0.9,
                            .beta2 = 0.99,
                            .eps = 1e-8,
                            .decay = 1e-3,
                            .step_size = 1e-2,
                            .variance_scale = 3,
                            .gradient_scale = 0.7};
  for (const auto dtype : {at::kFloat, at::kDouble}) {
    const auto w = at::randn({kValues}, dtype), g = at::randn({kValues}, dtype),
               m = at::randn({kValues}, dtype), v = at::rand({kValues}, dtype);
    expect_same_on_any_threads(c10::toString(dtype), [&]() -> std::vector<at::Tensor> {
      const auto weight = w.clone(), gradient = g.clone(), first = m.clone(), second = v.clone();
      cpu::adamw(step, weight, gradient, first, second);
      const auto pulled = g.clone();
      const double pull = cpu::quadratic_pull(w, v, m, 0.5, pulled);
      return {weight,
              gradient,
              first,
              second,
              pulled,
              at::scalar_tensor(pull, at::kDouble),
              at::scalar_tensor(cpu::sum_of_squares(g), at::kDouble)};
    });
  }
}

}  // namespace
}  // namespace moesaic
