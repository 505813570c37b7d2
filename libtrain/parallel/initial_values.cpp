#include "parallel/initial_values.h"

#include <ATen/Parallel.h>

#include <span>

#include "core/random.h"

namespace moesaic {
namespace {

template <class T>
void fill_normal(at::Tensor& tensor, const RandomKey& key, std::int64_t first_element,
                 double std_dev) {
  constexpr std::int64_t kGrain = 1 << 16;
  const std::span<T> all(tensor.mutable_data_ptr<T>(), static_cast<std::size_t>(tensor.numel()));
  at::parallel_for(0, tensor.numel(), kGrain, [&](std::int64_t first, std::int64_t last) {
    const auto part =
        all.subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(last - first));
    key.normals(static_cast<std::uint64_t>(first_element + first), std_dev, part);
  });
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
    fill_normal<double>(local, key, first_element, info.init_std);
  else
    fill_normal<float>(local, key, first_element, info.init_std);
}

}  // namespace moesaic
