#include "nn/cpu/token_loss.h"

#include "nn/cpu/dtypes.h"
#include "parallel/threads.h"

namespace moesaic::cpu {
namespace {

constexpr std::int64_t kCost = 8;  // operations of a logit

template <class T>
MOESAIC_INLINE Wide<T> highest_of(const T* x, std::int64_t n) {
  using A = Wide<T>;
  A top = widen(x[0]);
#pragma omp simd reduction(max : top)
  for (std::int64_t i = 0; i < n; ++i) {
    const A value = widen(x[i]);
    top = value > top ? value : top;
  }
  return top;
}

template <class T>
MOESAIC_INLINE Wide<T> sum_of_exponentials(const T* x, std::int64_t n, Wide<T> top) {
  using A = Wide<T>;
  A sum = 0;
#pragma omp simd reduction(+ : sum)
  for (std::int64_t i = 0; i < n; ++i) sum += exponential_below_88(widen(x[i]) - top);
  return sum;
}

template <class T>
MOESAIC_INLINE Wide<T> loss_of(const T* x, std::int64_t n, std::int64_t target) {
  using A = Wide<T>;
  if (target < 0) return 0;
  const A top = highest_of(x, n);
  return top + std::log(sum_of_exponentials(x, n, top)) - widen(x[target]);
}

template <class T>
MOESAIC_INLINE Wide<T> gradient_of(T* x, std::int64_t n, std::int64_t target, Wide<T> factor) {
  using A = Wide<T>;
  if (target < 0) {
    for (std::int64_t i = 0; i < n; ++i) x[i] = narrow<T>(A{0});
    return 0;
  }
  const A top = highest_of(x, n), sum = sum_of_exponentials(x, n, top);
  const A chosen = widen(x[target]), share = factor / sum;
#pragma omp simd
  for (std::int64_t i = 0; i < n; ++i)
    x[i] = narrow<T>(exponential_below_88(widen(x[i]) - top) * share);
  // Not from the rounded value: at a good prediction the difference is small.
  x[target] = narrow<T>(exponential(chosen - top) * share - factor);
  return top + std::log(sum) - chosen;
}

// What is known of a row when its vocabulary comes in parts.
template <class A>
struct RowSums {
  A highest, sum, chosen;
};

// Adds a part; `target` is its column, and outside of it where another part has it.
template <class T>
MOESAIC_INLINE void add_part(const T* x, std::int64_t n, std::int64_t target,
                             RowSums<Wide<T>>& row) {
  const Wide<T> top = highest_of(x, n);
  if (top > row.highest) {
    row.sum *= std::exp(row.highest - top);
    row.highest = top;
  }
  row.sum += sum_of_exponentials(x, n, row.highest);
  if (target >= 0 && target < n) row.chosen = widen(x[target]);
}

#define MOESAIC_DEFINE(T)                                                                        \
  MOESAIC_SIMD Wide<T> row_loss(const T* x, std::int64_t n, std::int64_t target) {               \
    return loss_of(x, n, target);                                                                \
  }                                                                                              \
  MOESAIC_SIMD Wide<T> row_gradient(T* x, std::int64_t n, std::int64_t target, Wide<T> factor) { \
    return gradient_of(x, n, target, factor);                                                    \
  }                                                                                              \
  MOESAIC_SIMD void add_row_part(const T* x, std::int64_t n, std::int64_t target,                \
                                 RowSums<Wide<T>>& row) {                                        \
    add_part(x, n, target, row);                                                                 \
  }
MOESAIC_DEFINE(float)
MOESAIC_DEFINE(c10::BFloat16)
MOESAIC_DEFINE(double)
#undef MOESAIC_DEFINE

// Calls visit(logits, target, loss) for each row.
template <class T, class Visit>
void for_each_row(const at::Tensor& logits, const at::Tensor& targets, const at::Tensor& loss,
                  const Visit& visit) {
  T* x = logits.mutable_data_ptr<T>();
  const auto* target = targets.const_data_ptr<std::int64_t>();
  auto* out = loss.mutable_data_ptr<Wide<T>>();
  on_threads(logits.size(0), worth_a_thread(kCost * logits.size(1)),
             [&](std::int64_t first, std::int64_t last) {
               for (std::int64_t r = first; r < last; ++r)
                 out[r] = visit(x + r * logits.size(1), target[r]);
             });
}

}  // namespace

void token_loss(const at::Tensor& logits, const at::Tensor& targets, const at::Tensor& loss) {
  with_dtype(logits.scalar_type(), [&](auto type) {
    using T = decltype(type);
    for_each_row<T>(logits, targets, loss, [&](const T* x, std::int64_t target) {
      return row_loss(x, logits.size(1), target);
    });
  });
}

void token_loss_and_gradient(const at::Tensor& logits, const at::Tensor& targets, double factor,
                             const at::Tensor& loss) {
  with_dtype(logits.scalar_type(), [&](auto type) {
    using T = decltype(type);
    for_each_row<T>(logits, targets, loss, [&](T* x, std::int64_t target) {
      return row_gradient(x, logits.size(1), target, static_cast<Wide<T>>(factor));
    });
  });
}

void add_vocabulary_part(const at::Tensor& logits, const at::Tensor& targets, std::int64_t first,
                         const VocabularySums& sums) {
  with_dtype(logits.scalar_type(), [&](auto type) {
    using T = decltype(type);
    using A = Wide<T>;
    const T* const x = logits.const_data_ptr<T>();
    const auto* const target = targets.const_data_ptr<std::int64_t>();
    A *const highest = sums.highest_R.mutable_data_ptr<A>(),
             *const sum = sums.sum_R.mutable_data_ptr<A>(),
             *const chosen = sums.chosen_R.mutable_data_ptr<A>();
    const std::int64_t n = logits.size(1);
    on_threads(logits.size(0), worth_a_thread(kCost * logits.size(1)),
               [&](std::int64_t begin, std::int64_t end) {
                 for (std::int64_t r = begin; r < end; ++r) {
                   RowSums<A> row{highest[r], sum[r], chosen[r]};
                   add_row_part(x + r * n, n, target[r] - first, row);
                   highest[r] = row.highest, sum[r] = row.sum, chosen[r] = row.chosen;
                 }
               });
  });
}

}  // namespace moesaic::cpu
