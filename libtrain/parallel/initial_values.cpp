#include "parallel/initial_values.h"

#include <cmath>
#include <span>

#include "core/random.h"
#include "parallel/threads.h"

namespace moesaic {
namespace {

template <class T>
void fill_normal(at::Tensor& tensor, const RandomKey& key, std::int64_t first_element,
                 double std_dev) {
  constexpr std::int64_t kGrain = 1 << 16;
  const std::span<T> all(tensor.mutable_data_ptr<T>(), static_cast<std::size_t>(tensor.numel()));
  on_threads(tensor.numel(), kGrain, [&](std::int64_t first, std::int64_t last) {
    const auto part =
        all.subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(last - first));
    key.normals(static_cast<std::uint64_t>(first_element + first), std_dev, part);
  });
}

template <class T>
void fill_uniform(at::Tensor& tensor, const RandomKey& key, std::int64_t first_element,
                  double std_dev) {
  constexpr std::int64_t kGrain = 1 << 14;
  const double bound = std_dev * std::sqrt(3.0);
  T* const values = tensor.mutable_data_ptr<T>();
  on_threads(tensor.numel(), kGrain, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t i = first; i < last; ++i) {
      const double u = key.uniform(static_cast<std::uint64_t>(first_element + i));
      values[i] = static_cast<T>(bound * (2 * u - 1));
    }
  });
}

template <class T>
void fill_draws(const arch::ParameterInfo& info, const RandomKey& key, std::int64_t first_element,
                at::Tensor& local) {
  if (info.init == arch::Init::kUniform)
    fill_uniform<T>(local, key, first_element, info.init_std);
  else
    fill_normal<T>(local, key, first_element, info.init_std);
}

}  // namespace

void fill_initial_values(const arch::ParameterInfo& info, std::int64_t first_row,
                         std::uint64_t seed, at::Tensor& local) {
  const RandomKey key(seed, RandomStream::kInit, 0, info.name);
  const std::int64_t first_element = first_row * (info.numel() / info.shape[0]);
  if (info.init == arch::Init::kOnes)
    local.fill_(1);
  else if (info.init == arch::Init::kZeros)
    local.zero_();
  else if (local.scalar_type() == at::kDouble)
    fill_draws<double>(info, key, first_element, local);
  else
    fill_draws<float>(info, key, first_element, local);
}

}  // namespace moesaic
