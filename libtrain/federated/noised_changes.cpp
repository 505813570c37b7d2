#include "federated/noised_changes.h"

#include <algorithm>
#include <cmath>
#include <span>

#include "core/error.h"
#include "federated/doubles.h"

namespace moesaic {
namespace {

// Calls use(number of the first value, its part of `values`, that part in float64).
template <class Use>
void for_parts_in_doubles(const at::Tensor& values, const Use& use) {
  constexpr std::int64_t kAtOnce = 1 << 20;
  MOESAIC_ASSERT(values.is_contiguous());
  const at::Tensor flat = values.view({-1});
  for (std::int64_t first = 0; first < flat.numel(); first += kAtOnce) {
    const at::Tensor part = flat.narrow(0, first, std::min(kAtOnce, flat.numel() - first));
    use(first, part, part.to(at::kDouble, /*non_blocking=*/false, /*copy=*/true));
  }
}

double sum_of_squares(const at::Tensor& values) {
  double sum = 0;
  for_parts_in_doubles(values, [&](std::int64_t, const at::Tensor&, const at::Tensor& part) {
    for (const double value : doubles_of(part)) sum += value * value;
  });
  return sum;
}

}  // namespace

double NoisedChanges::norm(const RankContext& slot, const std::vector<at::Tensor>& change) const {
  double dense = 0, experts = 0;
  for (std::size_t i = 0; i < change.size(); ++i) {
    const bool cut = model_.shared().at(i).scope == Scope::kExpert;
    (cut ? experts : dense) += sum_of_squares(change[i]);
  }
  return std::sqrt(dense + slot.expert.all_reduce(experts, ReduceOp::kSum, "round.norm"));
}

void NoisedChanges::apply(const RankContext& slot, std::int64_t round,
                          std::vector<at::Tensor>& change) const {
  const double factor = sum_.factor(norm(slot, change));
  const aggregate::SumNoise noise{key_, static_cast<std::uint64_t>(round)};
  for (std::size_t i = 0; i < change.size(); ++i) {
    const RoundModel::Entry& entry = model_.shared()[i];
    const bool cut = entry.scope == Scope::kExpert;
    const std::int64_t before = cut ? slot.plan.expert_rank_of(slot.rank()) * change[i].numel() : 0;
    for_parts_in_doubles(change[i],
                         [&](std::int64_t first, const at::Tensor& part, const at::Tensor& values) {
                           const std::span<double> whole = doubles_of(values);
                           for (double& value : whole) value *= factor;
                           if (sum_.noise_multiplier > 0)
                             aggregate::add_noise(noise, sum_.share(), entry.name,
                                                  static_cast<std::size_t>(before + first), whole);
                           part.copy_(values);
                         });
  }
}

}  // namespace moesaic
