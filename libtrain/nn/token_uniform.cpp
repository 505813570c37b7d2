#include "nn/token_uniform.h"

#include <ATen/ops/empty.h>

#include "data/batch.h"
#include "parallel/threads.h"

namespace moesaic {

at::Tensor token_uniform(const RandomKey& key, const at::Tensor& place_T, std::int64_t columns) {
  constexpr std::uint64_t kLow = (std::uint64_t{1} << kPlaceBits) - 1;
  constexpr std::int64_t kGrain = 16;  // tokens
  const at::Tensor host_T = place_T.cpu();
  const at::Tensor uniform = at::empty({host_T.size(0), columns}, at::kDouble);
  const auto* places = host_T.const_data_ptr<std::int64_t>();
  double* const values = uniform.mutable_data_ptr<double>();
  on_threads(uniform.size(0), kGrain, [&](std::int64_t begin, std::int64_t end) {
    double* out = values + begin * columns;
    for (std::int64_t t = begin; t < end; ++t) {
      // Examples are far enough apart for 2^40 values; beyond that draws would only repeat.
      const auto place = static_cast<std::uint64_t>(places[t]);
      const std::uint64_t example = (place & kOwnDraws) != 0 ? 0 : place >> kPlaceBits;
      const std::uint64_t first =
          (example << 40) + (place & kLow) * static_cast<std::uint64_t>(columns);
      for (std::int64_t c = 0; c < columns; ++c)
        *out++ = key.uniform(first + static_cast<std::uint64_t>(c));
    }
  });
  return uniform.to(place_T.device());
}

}  // namespace moesaic
