#include "nn/cpu/rms_norm.h"

#include <ATen/Parallel.h>

#include <vector>

#include "nn/cpu/dtypes.h"

namespace moesaic::cpu {
namespace {

constexpr std::int64_t kGrain = 64;  // rows of a thread's smallest share

template <class In, class Out>
MOESAIC_INLINE void forward(const In* x, const Wide<In>* scale, Wide<In> eps, Rows rows, Out* y,
                            Wide<In>* rstd) {
  using A = Wide<In>;
  for (std::int64_t r = rows.first; r < rows.last; ++r) {
    const In* in = x + r * rows.width;
    Out* out = y + r * rows.width;
    A sum = 0;
#pragma omp simd reduction(+ : sum)
    for (std::int64_t i = 0; i < rows.width; ++i) sum += widen(in[i]) * widen(in[i]);
    const A factor = A{1} / std::sqrt(sum / static_cast<A>(rows.width) + eps);
    rstd[r] = factor;
    for (std::int64_t i = 0; i < rows.width; ++i)
      out[i] = narrow<Out>(widen(in[i]) * factor * scale[i]);
  }
}

template <class In, class Out>
MOESAIC_INLINE void backward(const Out* dy, const In* x, const Wide<In>* rstd,
                             const Wide<In>* scale, Rows rows, In* dx) {
  using A = Wide<In>;
  for (std::int64_t r = rows.first; r < rows.last; ++r) {
    const In* in = x + r * rows.width;
    const Out* gradient = dy + r * rows.width;
    In* out = dx + r * rows.width;
    A dot = 0;
#pragma omp simd reduction(+ : dot)
    for (std::int64_t i = 0; i < rows.width; ++i)
      dot += widen(gradient[i]) * scale[i] * widen(in[i]);
    const A factor = rstd[r];
    const A shift = dot * factor * factor * factor / static_cast<A>(rows.width);
    for (std::int64_t i = 0; i < rows.width; ++i)
      out[i] = narrow<In>(widen(gradient[i]) * scale[i] * factor - widen(in[i]) * shift);
  }
}

template <class In, class Out>
MOESAIC_INLINE void scale_gradient(const Out* dy, const In* x, const Wide<In>* rstd, Rows rows,
                                   Wide<In>* sum) {
  using A = Wide<In>;
  for (std::int64_t r = rows.first; r < rows.last; ++r) {
    const In* in = x + r * rows.width;
    const Out* gradient = dy + r * rows.width;
    const A factor = rstd[r];
#pragma omp simd
    for (std::int64_t i = 0; i < rows.width; ++i)
      sum[i] += widen(gradient[i]) * widen(in[i]) * factor;
  }
}

// Each loop for each pair of dtypes.
#define MOESAIC_DEFINE(In, Out)                                                               \
  MOESAIC_SIMD void forward_rows(const In* x, const Wide<In>* scale, Wide<In> eps, Rows rows, \
                                 Out* y, Wide<In>* rstd) {                                    \
    forward(x, scale, eps, rows, y, rstd);                                                    \
  }                                                                                           \
  MOESAIC_SIMD void backward_rows(const Out* dy, const In* x, const Wide<In>* rstd,           \
                                  const Wide<In>* scale, Rows rows, In* dx) {                 \
    backward(dy, x, rstd, scale, rows, dx);                                                   \
  }                                                                                           \
  MOESAIC_SIMD void scale_gradient_rows(const Out* dy, const In* x, const Wide<In>* rstd,     \
                                        Rows rows, Wide<In>* sum) {                           \
    scale_gradient(dy, x, rstd, rows, sum);                                                   \
  }
MOESAIC_DEFINE(float, float)
MOESAIC_DEFINE(float, c10::BFloat16)
MOESAIC_DEFINE(c10::BFloat16, float)
MOESAIC_DEFINE(c10::BFloat16, c10::BFloat16)
MOESAIC_DEFINE(double, double)
#undef MOESAIC_DEFINE

}  // namespace

void rms_norm_forward(const at::Tensor& x, const at::Tensor& scale, double eps, const at::Tensor& y,
                      const at::Tensor& rstd) {
  with_dtypes(x.scalar_type(), y.scalar_type(), [&](auto in, auto out) {
    using In = decltype(in);
    using Out = decltype(out);
    using A = Wide<In>;
    at::parallel_for(0, x.size(0), kGrain, [&](std::int64_t first, std::int64_t last) {
      forward_rows(x.const_data_ptr<In>(), scale.const_data_ptr<A>(), static_cast<A>(eps),
                   {first, last, x.size(1)}, y.mutable_data_ptr<Out>(), rstd.mutable_data_ptr<A>());
    });
  });
}

void rms_norm_backward(const at::Tensor& dy, const at::Tensor& x, const at::Tensor& rstd,
                       const at::Tensor& scale, const at::Tensor& dx) {
  with_dtypes(x.scalar_type(), dy.scalar_type(), [&](auto in, auto out) {
    using In = decltype(in);
    using Out = decltype(out);
    using A = Wide<In>;
    at::parallel_for(0, x.size(0), kGrain, [&](std::int64_t first, std::int64_t last) {
      backward_rows(dy.const_data_ptr<Out>(), x.const_data_ptr<In>(), rstd.const_data_ptr<A>(),
                    scale.const_data_ptr<A>(), {first, last, x.size(1)}, dx.mutable_data_ptr<In>());
    });
  });
}

void add_scale_gradient(const at::Tensor& dy, const at::Tensor& x, const at::Tensor& rstd,
                        const at::Tensor& sum_D) {
  with_dtypes(x.scalar_type(), dy.scalar_type(), [&](auto in, auto out) {
    using In = decltype(in);
    using Out = decltype(out);
    using A = Wide<In>;
    scale_gradient_rows(dy.const_data_ptr<Out>(), x.const_data_ptr<In>(), rstd.const_data_ptr<A>(),
                        {0, x.size(0), x.size(1)}, sum_D.mutable_data_ptr<A>());
  });
}

}  // namespace moesaic::cpu
