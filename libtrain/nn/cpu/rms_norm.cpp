#include "nn/cpu/rms_norm.h"

#include "nn/cpu/dtypes.h"
#include "parallel/threads.h"

namespace moesaic::cpu {
namespace {

constexpr std::int64_t kCost = 4;         // operations of a value
constexpr std::int64_t kColumns = 32;     // of a thread's smallest share, where rows are added up
constexpr std::int64_t kAdded = 1 << 13;  // values of a thread's smallest share of a plain sum

// sum, unless null: x + branch, which takes the place of x.
template <class In, class Out>
MOESAIC_INLINE void forward(const In* x, const Out* branch, const Wide<In>* scale, Wide<In> eps,
                            Rows rows, In* sum, Out* y, Wide<In>* rstd) {
  using A = Wide<In>;
  for (std::int64_t r = rows.first; r < rows.last; ++r) {
    const std::int64_t at = r * rows.width;
    const In* in = x + at;
    if (sum != nullptr) {
      In* total = sum + at;
#pragma omp simd
      for (std::int64_t i = 0; i < rows.width; ++i)
        total[i] = narrow<In>(widen(in[i]) + widen(branch[at + i]));
      in = total;
    }
    Out* out = y + at;
    A squares = 0;
#pragma omp simd reduction(+ : squares)
    for (std::int64_t i = 0; i < rows.width; ++i) squares += widen(in[i]) * widen(in[i]);
    const A factor = A{1} / std::sqrt(squares / static_cast<A>(rows.width) + eps);
    rstd[r] = factor;
#pragma omp simd
    for (std::int64_t i = 0; i < rows.width; ++i)
      out[i] = narrow<Out>(widen(in[i]) * factor * scale[i]);
  }
}

// d_stream, unless null, is added; d_branch, unless null, gets the result, too.
template <class In, class Out>
MOESAIC_INLINE void backward(const In* d_stream, const Out* dy, const In* x, const Wide<In>* rstd,
                             const Wide<In>* scale, Rows rows, In* dx, Out* d_branch) {
  using A = Wide<In>;
  for (std::int64_t r = rows.first; r < rows.last; ++r) {
    const std::int64_t at = r * rows.width;
    const In* in = x + at;
    const Out* gradient = dy + at;
    In* out = dx + at;
    A dot = 0;
#pragma omp simd reduction(+ : dot)
    for (std::int64_t i = 0; i < rows.width; ++i)
      dot += widen(gradient[i]) * scale[i] * widen(in[i]);
    const A factor = rstd[r];
    const A shift = dot * factor * factor * factor / static_cast<A>(rows.width);
    if (d_stream == nullptr) {
#pragma omp simd
      for (std::int64_t i = 0; i < rows.width; ++i)
        out[i] = narrow<In>(widen(gradient[i]) * scale[i] * factor - widen(in[i]) * shift);
      continue;
    }
    const In* stream = d_stream + at;
#pragma omp simd
    for (std::int64_t i = 0; i < rows.width; ++i)
      out[i] = narrow<In>(widen(stream[i]) + widen(gradient[i]) * scale[i] * factor -
                          widen(in[i]) * shift);
    if (d_branch == nullptr) continue;
    Out* branch = d_branch + at;
#pragma omp simd
    for (std::int64_t i = 0; i < rows.width; ++i) branch[i] = narrow<Out>(widen(out[i]));
  }
}

template <class In, class Out>
MOESAIC_INLINE void sum_of(const In* x, const Out* branch, std::int64_t n, In* sum) {
#pragma omp simd
  for (std::int64_t i = 0; i < n; ++i) sum[i] = narrow<In>(widen(x[i]) + widen(branch[i]));
}

// The first columns of the rows.
template <class In, class Out>
MOESAIC_INLINE void scale_gradient(const Out* dy, const In* x, const Wide<In>* rstd, Rows rows,
                                   std::int64_t columns, Wide<In>* sum) {
  using A = Wide<In>;
  for (std::int64_t r = rows.first; r < rows.last; ++r) {
    const In* in = x + r * rows.width;
    const Out* gradient = dy + r * rows.width;
    const A factor = rstd[r];
#pragma omp simd
    for (std::int64_t i = 0; i < columns; ++i) sum[i] += widen(gradient[i]) * widen(in[i]) * factor;
  }
}

// Each loop for each pair of dtypes.
#define MOESAIC_DEFINE(In, Out)                                                                   \
  MOESAIC_SIMD void forward_rows(const In* x, const Out* branch, const Wide<In>* scale,           \
                                 Wide<In> eps, Rows rows, In* sum, Out* y, Wide<In>* rstd) {      \
    forward(x, branch, scale, eps, rows, sum, y, rstd);                                           \
  }                                                                                               \
  MOESAIC_SIMD void backward_rows(const In* d_stream, const Out* dy, const In* x,                 \
                                  const Wide<In>* rstd, const Wide<In>* scale, Rows rows, In* dx, \
                                  Out* d_branch) {                                                \
    backward(d_stream, dy, x, rstd, scale, rows, dx, d_branch);                                   \
  }                                                                                               \
  MOESAIC_SIMD void scale_gradient_rows(const Out* dy, const In* x, const Wide<In>* rstd,         \
                                        Rows rows, std::int64_t columns, Wide<In>* sum) {         \
    scale_gradient(dy, x, rstd, rows, columns, sum);                                              \
  }                                                                                               \
  MOESAIC_SIMD void add_values(const In* x, const Out* branch, std::int64_t n, In* sum) {         \
    sum_of(x, branch, n, sum);                                                                    \
  }
MOESAIC_DEFINE(float, float)
MOESAIC_DEFINE(float, c10::BFloat16)
MOESAIC_DEFINE(c10::BFloat16, float)
MOESAIC_DEFINE(c10::BFloat16, c10::BFloat16)
MOESAIC_DEFINE(double, double)
#undef MOESAIC_DEFINE

void forward(const at::Tensor& x, const at::Tensor& branch, const at::Tensor& scale, double eps,
             const at::Tensor& sum, const at::Tensor& y, const at::Tensor& rstd) {
  with_dtypes(x.scalar_type(), y.scalar_type(), [&](auto in, auto out) {
    using In = decltype(in);
    using Out = decltype(out);
    using A = Wide<In>;
    on_threads(
        x.size(0), worth_a_thread(kCost * x.size(1)), [&](std::int64_t first, std::int64_t last) {
          forward_rows(x.const_data_ptr<In>(),
                       branch.defined() ? branch.const_data_ptr<Out>() : nullptr,
                       scale.const_data_ptr<A>(), static_cast<A>(eps), {first, last, x.size(1)},
                       sum.defined() ? sum.mutable_data_ptr<In>() : nullptr,
                       y.mutable_data_ptr<Out>(), rstd.mutable_data_ptr<A>());
        });
  });
}

}  // namespace

void rms_norm_forward(const at::Tensor& x, const at::Tensor& scale, double eps, const at::Tensor& y,
                      const at::Tensor& rstd) {
  forward(x, {}, scale, eps, {}, y, rstd);
}

void add_rms_norm_forward(const at::Tensor& x, const at::Tensor& branch, const at::Tensor& scale,
                          double eps, const at::Tensor& sum, const at::Tensor& y,
                          const at::Tensor& rstd) {
  MOESAIC_ASSERT(branch.scalar_type() == y.scalar_type());
  forward(x, branch, scale, eps, sum, y, rstd);
}

void rms_norm_backward(const at::Tensor& dy, const at::Tensor& x, const at::Tensor& rstd,
                       const at::Tensor& scale, const at::Tensor& dx) {
  residual_norm_backward({}, dy, x, rstd, scale, dx, {});
}

void residual_norm_backward(const at::Tensor& d_stream, const at::Tensor& dy, const at::Tensor& x,
                            const at::Tensor& rstd, const at::Tensor& scale, const at::Tensor& dx,
                            const at::Tensor& d_branch) {
  with_dtypes(x.scalar_type(), dy.scalar_type(), [&](auto in, auto out) {
    using In = decltype(in);
    using Out = decltype(out);
    using A = Wide<In>;
    on_threads(x.size(0), worth_a_thread(kCost * x.size(1)),
               [&](std::int64_t first, std::int64_t last) {
                 backward_rows(d_stream.defined() ? d_stream.const_data_ptr<In>() : nullptr,
                               dy.const_data_ptr<Out>(), x.const_data_ptr<In>(),
                               rstd.const_data_ptr<A>(), scale.const_data_ptr<A>(),
                               {first, last, x.size(1)}, dx.mutable_data_ptr<In>(),
                               d_branch.defined() ? d_branch.mutable_data_ptr<Out>() : nullptr);
               });
  });
}

void add(const at::Tensor& x, const at::Tensor& branch, const at::Tensor& sum) {
  with_dtypes(x.scalar_type(), branch.scalar_type(), [&](auto in, auto out) {
    using In = decltype(in);
    using Out = decltype(out);
    const In* a = x.const_data_ptr<In>();
    const Out* b = branch.const_data_ptr<Out>();
    In* y = sum.mutable_data_ptr<In>();
    on_threads(x.numel(), kAdded, [&](std::int64_t first, std::int64_t last) {
      add_values(a + first, b + first, last - first, y + first);
    });
  });
}

void add_scale_gradient(const at::Tensor& dy, const at::Tensor& x, const at::Tensor& rstd,
                        const at::Tensor& sum_D) {
  with_dtypes(x.scalar_type(), dy.scalar_type(), [&](auto in, auto out) {
    using In = decltype(in);
    using Out = decltype(out);
    using A = Wide<In>;
    // By columns: each is added up in the order of its rows.
    const std::int64_t grain = kColumns * worth_a_thread(kColumns * kCost * x.size(0));
    on_threads(x.size(1), grain, [&](std::int64_t first, std::int64_t last) {
      scale_gradient_rows(dy.const_data_ptr<Out>() + first, x.const_data_ptr<In>() + first,
                          rstd.const_data_ptr<A>(), {0, x.size(0), x.size(1)}, last - first,
                          sum_D.mutable_data_ptr<A>() + first);
    });
  });
}

}  // namespace moesaic::cpu
