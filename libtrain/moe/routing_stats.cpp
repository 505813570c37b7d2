#include "moe/routing_stats.h"

#include <ATen/ops/stack.h>

#include <algorithm>

#include "core/format.h"

namespace moesaic {

void RoutingStats::add(const std::vector<RouterRecord>& records) {
  if (records.empty()) return;
  std::vector<at::Tensor> counts;
  for (const RouterRecord& record : records) counts.push_back(record.count_E);
  const at::Tensor count_LE = at::stack(counts);
  count_LE_ = count_LE_.defined() ? count_LE_.add_(count_LE) : count_LE;
}

double RoutingStats::max_violation() const {
  if (!count_LE_.defined()) return 0;
  const at::Tensor count = count_LE_.to(at::kDouble);
  const at::Tensor mean_L = count.mean(1).clamp_min(1e-300);
  return count.amax(1).sub(mean_L).div(mean_L).max().item<double>();
}

double RoutingStats::dead_experts() const {
  return count_LE_.defined() ? static_cast<double>(count_LE_.eq(0).sum().item<std::int64_t>()) : 0;
}

std::vector<std::pair<std::string, std::vector<double>>> RoutingStats::loads() const {
  std::vector<std::pair<std::string, std::vector<double>>> loads;
  if (!count_LE_.defined()) return loads;
  const at::Tensor count = count_LE_.to(at::kDouble);
  const at::Tensor share_LE = count.div(count.sum(1, true).clamp_min(1)).contiguous().cpu();
  for (std::int64_t l = 0; l < share_LE.size(0); ++l) {
    const double* row = share_LE.const_data_ptr<double>() + l * share_LE.size(1);
    loads.emplace_back(format("expert_load.{}", l),
                       std::vector<double>(row, row + share_LE.size(1)));
  }
  return loads;
}

}  // namespace moesaic
