#include "aggregate/private_sum.h"

#include <vector>

#include "core/format.h"
#include "core/random.h"

namespace moesaic::aggregate {

std::string why_not_private(const AggregatorOptions& options) {
  const std::string& type = options.type;
  const bool is_mean = type == "fedavg" || type == "fedavgm" || type == "fedprox" ||
                       type == "fedadam" || type == "fedyogi" || type == "fedadagrad";
  if (!is_mean)
    return format("type {} is no plain mean of changes, so clip_norm does not bound a silo", type);
  if (options.weights != "uniform")
    return format("weights {} let one silo count more than another; uniform is needed",
                  options.weights);
  if (options.experts != "uniform")
    return format("experts {} weighs by counts that have no noise; uniform is needed",
                  options.experts);
  if (options.lora != "average" && options.lora != "frozen_a")
    return format("lora {} multiplies factors, so clip_norm does not bound a silo", options.lora);
  return "";
}

void add_noise(const SumNoise& noise, double deviation, const std::string& name, std::size_t first,
               std::span<double> sum) {
  constexpr int kGaussians = 4;
  std::vector<double> total(sum.size(), 0.0), one(sum.size());
  for (int i = 0; i < kGaussians; ++i) {
    const RandomKey key(noise.key, RandomStream::kNoise, noise.number, format("{}:{}", i, name));
    key.normals(first, deviation / 2, std::span<double>(one));  // of four: twice this deviation
    for (std::size_t j = 0; j < sum.size(); ++j) total[j] += one[j];
  }
  for (std::size_t j = 0; j < sum.size(); ++j) sum[j] += total[j];
}

}  // namespace moesaic::aggregate
