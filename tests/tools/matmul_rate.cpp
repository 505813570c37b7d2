// Prints the rate of this machine's matrix products, on one thread or on its CUDA device, in
// GFLOP/s, the best of a few sizes and repetitions: the yardstick of docs/results/speed.md.
//
//   matmul_rate float32|bfloat16 [cpu|cuda]
#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/randn.h>

#include <algorithm>
#include <cstdio>
#include <string>

#include "core/clock.h"
#include "nn/matmul.h"
#include "support/cuda_device.h"

namespace {

double gflops(std::int64_t n, int products, double seconds) {
  const auto size = static_cast<double>(n);
  return 2 * size * size * size * products / seconds / 1e9;
}

double rate_of_a_core(at::ScalarType dtype) {
  at::set_num_threads(1);
  double best = 0;
  for (const std::int64_t n : {512, 1024, 2048}) {
    const at::Tensor a = at::randn({n, n}).to(dtype), b = at::randn({n, n}).to(dtype);
    for (const auto kernel : {moesaic::MatmulKernel::kMkl, moesaic::MatmulKernel::kOneDnn}) {
      for (int repetition = 0; repetition < 6; ++repetition) {
        const moesaic::Stopwatch watch;
        moesaic::product(a, b, kernel);
        best = std::max(best, gflops(n, 1, watch.seconds()));
      }
    }
  }
  return best;
}

// Ten products in a row, so that the device has always something to do; one value of the last says
// when they are done.
double rate_of_a_device(at::ScalarType dtype, at::Device device) {
  constexpr int kProducts = 10;
  double best = 0;
  for (const std::int64_t n : {2048, 4096, 8192}) {
    const auto place = at::TensorOptions(device).dtype(dtype);
    const at::Tensor a = at::randn({n, n}, place), b = at::randn({n, n}, place);
    at::Tensor c = at::empty({n, n}, place);
    for (int repetition = 0; repetition < 6; ++repetition) {
      c[0][0].item<float>();
      const moesaic::Stopwatch watch;
      for (int i = 0; i < kProducts; ++i) at::mm_out(c, a, b.t());
      c[0][0].item<float>();
      best = std::max(best, gflops(n, kProducts, watch.seconds()));
    }
  }
  return best;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string precision = argc > 1 ? argv[1] : "float32", where = argc > 2 ? argv[2] : "cpu";
  const at::ScalarType dtype = precision == "bfloat16" ? at::kBFloat16 : at::kFloat;
  if (where != "cuda") {
    std::printf("%.1f\n", rate_of_a_core(dtype));
    return 0;
  }
  const moesaic::test::CudaDevice cuda = moesaic::test::find_cuda_device();
  if (!cuda.device) {
    std::fprintf(stderr, "%s\n", cuda.reason.c_str());
    return 77;
  }
  std::printf("%.1f\n", rate_of_a_device(dtype, *cuda.device));
}
