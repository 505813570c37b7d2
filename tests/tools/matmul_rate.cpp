// Prints the rate of this machine's matrix products on one thread, in GFLOP/s, the best of a few
// sizes and repetitions: the yardstick of docs/results/speed.md.
//
//   matmul_rate float32|bfloat16
#include <ATen/Parallel.h>
#include <ATen/ops/randn.h>

#include <algorithm>
#include <cstdio>
#include <string>

#include "core/clock.h"
#include "nn/matmul.h"

int main(int argc, char** argv) {
  const std::string precision = argc > 1 ? argv[1] : "float32";
  const at::ScalarType dtype = precision == "bfloat16" ? at::kBFloat16 : at::kFloat;
  at::set_num_threads(1);
  double best = 0;
  for (const std::int64_t n : {512, 1024, 2048}) {
    const at::Tensor a = at::randn({n, n}).to(dtype), b = at::randn({n, n}).to(dtype);
    for (const auto kernel : {moesaic::MatmulKernel::kMkl, moesaic::MatmulKernel::kOneDnn}) {
      for (int repetition = 0; repetition < 6; ++repetition) {
        const moesaic::Stopwatch watch;
        moesaic::product(a, b, kernel);
        const auto size = static_cast<double>(n);
        best = std::max(best, 2 * size * size * size / watch.seconds() / 1e9);
      }
    }
  }
  std::printf("%.1f\n", best);
}
