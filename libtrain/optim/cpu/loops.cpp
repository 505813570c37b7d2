#include "optim/cpu/loops.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "core/error.h"
#include "core/simd.h"
#include "parallel/threads.h"

namespace moesaic::cpu {
namespace {

constexpr std::int64_t kBlock = 1 << 15;  // values of a thread's smallest share

template <class T>
MOESAIC_INLINE void update(const AdamWStep& step, std::int64_t n, T* weight, T* gradient,
                           T* exp_avg, T* exp_avg_sq) {
  const T scale = static_cast<T>(step.gradient_scale), keep = static_cast<T>(1 - step.decay);
  const T beta2 = static_cast<T>(step.beta2), rest1 = static_cast<T>(1 - step.beta1),
          rest2 = static_cast<T>(1 - step.beta2);
  const T size = static_cast<T>(step.step_size), eps = static_cast<T>(step.eps);
  const T root = static_cast<T>(std::sqrt(step.variance_scale));
#pragma omp simd
  for (std::int64_t i = 0; i < n; ++i) {
    const T g = gradient[i] * scale;
    const T m = exp_avg[i] + rest1 * (g - exp_avg[i]);
    const T v = beta2 * exp_avg_sq[i] + rest2 * g * g;
    exp_avg[i] = m;
    exp_avg_sq[i] = v;
    weight[i] = weight[i] * keep - size * m / (std::sqrt(v) * root + eps);
    gradient[i] = 0;
  }
}

// Four sums: one would wait for each of its additions.
template <class T>
MOESAIC_INLINE double squares(const T* x, std::int64_t n) {
  const std::int64_t part = n / 4;
  double a = 0, b = 0, c = 0, d = 0;
#pragma omp simd reduction(+ : a, b, c, d)
  for (std::int64_t i = 0; i < part; ++i) {
    const double p = x[i], q = x[part + i], r = x[2 * part + i], s = x[3 * part + i];
    a += p * p;
    b += q * q;
    c += r * r;
    d += s * s;
  }
  for (std::int64_t i = 4 * part; i < n; ++i) a += static_cast<double>(x[i]) * x[i];
  return (a + b) + (c + d);
}

template <class T, class ImportanceAt>
MOESAIC_INLINE double pull(std::int64_t n, T factor, const ImportanceAt& importance,
                           const T* weight, const T* anchor, T* gradient) {
  double sum = 0;
#pragma omp simd reduction(+ : sum)
  for (std::int64_t i = 0; i < n; ++i) {
    const T way = weight[i] - anchor[i], scaled = importance(i) * way;
    gradient[i] += factor * scaled;
    sum += static_cast<double>(scaled) * static_cast<double>(way);
  }
  return sum;
}

template <class T>
MOESAIC_INLINE double pull(std::int64_t n, T factor, const T* importance, const T* weight,
                           const T* anchor, T* gradient) {
  if (importance == nullptr)
    return pull(
        n, factor, [](std::int64_t) { return T{1}; }, weight, anchor, gradient);
  const auto at = [importance](std::int64_t i) { return importance[i]; };
  return pull(n, factor, at, weight, anchor, gradient);
}

#define MOESAIC_DEFINE(T)                                                                         \
  MOESAIC_SIMD void update_values(const AdamWStep& step, std::int64_t n, T* weight, T* gradient,  \
                                  T* exp_avg, T* exp_avg_sq) {                                    \
    update(step, n, weight, gradient, exp_avg, exp_avg_sq);                                       \
  }                                                                                               \
  MOESAIC_SIMD double squares_of(const T* x, std::int64_t n) { return squares(x, n); }            \
  MOESAIC_SIMD double pull_values(std::int64_t n, T factor, const T* importance, const T* weight, \
                                  const T* anchor, T* gradient) {                                 \
    return pull(n, factor, importance, weight, anchor, gradient);                                 \
  }
MOESAIC_DEFINE(float)
MOESAIC_DEFINE(double)
#undef MOESAIC_DEFINE

// Calls visit(T{}) with the C++ type of `dtype`.
template <class Visit>
void with_master_dtype(at::ScalarType dtype, const Visit& visit) {
  if (dtype == at::kFloat) return visit(float{});
  MOESAIC_ASSERT(dtype == at::kDouble);
  visit(double{});
}

}  // namespace

void adamw(const AdamWStep& step, const at::Tensor& weight, const at::Tensor& gradient,
           const at::Tensor& exp_avg, const at::Tensor& exp_avg_sq) {
  with_master_dtype(weight.scalar_type(), [&](auto type) {
    using T = decltype(type);
    T *w = weight.mutable_data_ptr<T>(), *g = gradient.mutable_data_ptr<T>();
    T *m = exp_avg.mutable_data_ptr<T>(), *v = exp_avg_sq.mutable_data_ptr<T>();
    on_threads(weight.numel(), kBlock, [&](std::int64_t first, std::int64_t last) {
      update_values(step, last - first, w + first, g + first, m + first, v + first);
    });
  });
}

namespace {

// The sum of visit(first, count) over blocks of n values, in their order whatever the threads.
template <class Visit>
double sum_of_blocks(std::int64_t n, const Visit& visit) {
  const std::int64_t blocks = (n + kBlock - 1) / kBlock;
  std::vector<double> sums(static_cast<std::size_t>(blocks));
  on_threads(blocks, 1, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t b = first; b < last; ++b)
      sums[static_cast<std::size_t>(b)] = visit(b * kBlock, std::min(kBlock, n - b * kBlock));
  });
  double sum = 0;
  for (const double part : sums) sum += part;
  return sum;
}

}  // namespace

double sum_of_squares(const at::Tensor& x) {
  double sum = 0;
  with_master_dtype(x.scalar_type(), [&](auto type) {
    const auto* data = x.const_data_ptr<decltype(type)>();
    sum = sum_of_blocks(x.numel(), [&](std::int64_t first, std::int64_t count) {
      return squares_of(data + first, count);
    });
  });
  return sum;
}

double quadratic_pull(const at::Tensor& weight, const at::Tensor& importance,
                      const at::Tensor& anchor, double factor, const at::Tensor& gradient) {
  double sum = 0;
  with_master_dtype(weight.scalar_type(), [&](auto type) {
    using T = decltype(type);
    const T *w = weight.const_data_ptr<T>(), *a = anchor.const_data_ptr<T>();
    const T* f = importance.defined() ? importance.const_data_ptr<T>() : nullptr;
    T* g = gradient.mutable_data_ptr<T>();
    sum = sum_of_blocks(weight.numel(), [&](std::int64_t first, std::int64_t count) {
      return pull_values(count, static_cast<T>(factor), f == nullptr ? f : f + first, w + first,
                         a + first, g + first);
    });
  });
  return sum;
}

}  // namespace moesaic::cpu
