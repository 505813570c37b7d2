#include "moe/routing_stats.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/full.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros_like.h>

#include <cmath>

#include "moe/host_values.h"

namespace moesaic {
namespace {

constexpr std::int64_t kExtra = 2;  // columns after the counts

}  // namespace

void RoutingStats::add(const std::vector<RouterRecord>& records) {
  if (records.empty()) return;
  std::vector<at::Tensor> rows;
  for (const RouterRecord& record : records) {
    const at::Tensor tokens = at::full({1}, record.selected_TK.size(0), record.count_E.options());
    const at::Tensor dropped =
        record.dropped.defined() ? record.dropped.view({1}) : at::zeros_like(tokens);
    rows.push_back(at::cat({record.count_E, dropped, tokens}));
  }
  num_experts_ = records.front().num_experts;
  const at::Tensor total_LX = at::stack(rows);
  total_LX_ = total_LX_.defined() ? total_LX_.add_(total_LX) : total_LX;
}

void RoutingStats::reduce(const Communicator& world) {
  if (total_LX_.defined()) world.all_reduce(total_LX_, ReduceOp::kSum, "step.routing");
}

at::Tensor RoutingStats::counts() const {
  return total_LX_.defined() ? total_LX_.narrow(1, 0, total_LX_.size(1) - kExtra) : total_LX_;
}

std::vector<double> RoutingStats::max_violations() const {
  if (!total_LX_.defined()) return {};
  const at::Tensor count = counts().to(at::kDouble);
  const at::Tensor mean_L = count.mean(1).clamp_min(1e-300);
  return host_values(count.amax(1).sub(mean_L).div(mean_L));
}

std::vector<double> RoutingStats::entropies() const {
  std::vector<double> entropies;
  for (const std::vector<double>& load : loads()) {
    double sum = 0;
    for (const double share : load) sum -= share > 0 ? share * std::log(share) : 0.0;
    entropies.push_back(load.size() > 1 ? sum / std::log(static_cast<double>(load.size())) : 1.0);
  }
  return entropies;
}

std::vector<std::vector<double>> RoutingStats::loads() const {
  std::vector<std::vector<double>> loads;
  if (!total_LX_.defined()) return loads;
  const at::Tensor count = counts().to(at::kDouble);
  const at::Tensor share_LE = count.div(count.sum(1, true).clamp_min(1));
  for (std::int64_t l = 0; l < share_LE.size(0); ++l) loads.push_back(host_values(share_LE[l]));
  return loads;
}

double RoutingStats::dead_experts() const {
  return total_LX_.defined() ? static_cast<double>(counts().eq(0).sum().item<std::int64_t>()) : 0;
}

double RoutingStats::dropped_fraction() const {
  if (!total_LX_.defined()) return 0;
  const double chosen = counts().sum().to(at::kDouble).item<double>();
  const double dropped = total_LX_.select(1, -2).sum().to(at::kDouble).item<double>();
  return chosen > 0 ? dropped / chosen : 0;
}

double RoutingStats::active_experts() const {
  if (!total_LX_.defined()) return 0;
  const double met = total_LX_.narrow(1, 0, num_experts_).sum().to(at::kDouble).item<double>();
  const double dropped = total_LX_.select(1, -2).sum().to(at::kDouble).item<double>();
  const double tokens = total_LX_.select(1, -1).sum().to(at::kDouble).item<double>();
  return tokens > 0 ? (met - dropped) / tokens : 0;
}

}  // namespace moesaic
