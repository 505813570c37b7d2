#include "privacy/noise.h"

#include <ATen/ops/empty.h>

#include <algorithm>
#include <span>

#include "core/error.h"
#include "core/format.h"
#include "core/random.h"

namespace moesaic {
namespace {

constexpr std::int64_t kNoiseBlock = 1 << 14;  // values at a time, which stay in the cache
constexpr int kGaussians = 4;                  // of a value

// Of the values of a parameter from number `first` on.
class ParameterNoise {
 public:
  ParameterNoise(const PrivateNoise::Draw& draw, const std::string& name)
      : deviation_(draw.deviation / 2) {  // the sum of four such has twice this deviation
    for (int i = 0; i < kGaussians; ++i)
      keys_.emplace_back(draw.key, RandomStream::kNoise, draw.number, format("{}:{}", i, name));
  }

  /// `sum` and `one`: float64 [n].
  void make(std::uint64_t first, at::Tensor sum, at::Tensor one) const {
    sum.zero_();
    const auto count = static_cast<std::size_t>(one.numel());
    for (const RandomKey& key : keys_) {
      key.normals(first, deviation_, std::span<double>(one.mutable_data_ptr<double>(), count));
      sum.add_(one);
    }
  }

 private:
  double deviation_;
  std::vector<RandomKey> keys_;
};

// The number within the whole parameter of the first value that the entry is of.
std::int64_t first_value(const GradientEntry& entry) {
  const Parameter& parameter = entry.parameter;
  const std::int64_t row = parameter.offset + (entry.rows ? entry.rows->first : 0);
  const std::int64_t rows = parameter.shape.empty() ? 1 : parameter.shape[0];
  return rows == 0 ? 0 : row * (parameter.numel() / rows);
}

// Calls visit(first value, float64 noise) for all values of an entry, in blocks.
template <class Visit>
void for_each_noise(const PrivateNoise::Draw& draw, const GradientEntry& entry,
                    const Visit& visit) {
  const ParameterNoise noise(draw, entry.parameter.name);
  const std::int64_t begin = first_value(entry), total = entry.gradient.numel();
  const at::Tensor sum = at::empty({std::min(kNoiseBlock, total)}, at::kDouble);
  const at::Tensor one = at::empty(sum.sizes(), at::kDouble);
  for (std::int64_t i = 0; i < total; i += kNoiseBlock) {
    const std::int64_t count = std::min(kNoiseBlock, total - i);
    const at::Tensor own = sum.narrow(0, 0, count);
    noise.make(static_cast<std::uint64_t>(begin + i), own, one.narrow(0, 0, count));
    visit(i, own);
  }
}

// Rounded once.
void add_to(const at::Tensor& values, std::int64_t first, const at::Tensor& noise) {
  at::Tensor part = values.narrow(0, first, noise.numel());
  part.copy_(part.to(at::kDouble).add_(noise.to(part.device())));
}

}  // namespace

void PrivateNoise::apply(const RankContext& /*context*/, const Step& step, Gradients& gradients,
                         MetricsRow& /*report*/) {
  const Draw draw = next_(step);
  if (draw.deviation == 0) return;
  MOESAIC_ASSERT(gradients.scale == 1);
  if (draw.sequence != std::exchange(sequence_, draw.sequence)) earlier_.clear();
  earlier_.resize(gradients.entries.size());
  for (std::size_t i = 0; i < gradients.entries.size(); ++i) {
    const GradientEntry& entry = gradients.entries[i];
    MOESAIC_ASSERT(!entry.updated && entry.gradient.is_contiguous());
    const at::Tensor values = entry.gradient.view({-1});
    if (coefficients_.size() == 1) {
      for_each_noise(draw, entry, [&](std::int64_t first, const at::Tensor& noise) {
        add_to(values, first, noise);
      });
      continue;
    }
    const at::Tensor own = at::empty({values.numel()}, at::kDouble);
    for_each_noise(draw, entry, [&](std::int64_t first, const at::Tensor& noise) {
      own.narrow(0, first, noise.numel()).copy_(noise);
    });
    take_back(i, own);
    add_to(values, 0, own);
  }
}

void PrivateNoise::take_back(std::size_t entry, at::Tensor own) {
  std::deque<at::Tensor>& earlier = earlier_[entry];
  for (std::size_t j = 0; j < earlier.size(); ++j) own.add_(earlier[j], -coefficients_[j + 1]);
  earlier.push_front(own);
  if (earlier.size() >= coefficients_.size()) earlier.pop_back();
}

}  // namespace moesaic
