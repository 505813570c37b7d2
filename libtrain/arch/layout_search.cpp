#include "arch/layout_search.h"

#include <algorithm>
#include <numeric>
#include <optional>

#include "core/error.h"

namespace moesaic::arch {
namespace {

Layout train_on(const Options& o, const ParameterTable& table, const CostOptions& s,
                const Device& device) {
  Layout layout{.ranks = s.ranks,
                .expert = s.expert,
                .shard_optimizer = s.shard_optimizer,
                .checkpoint_activations = s.checkpoint_activations,
                .cost = cost_of(o, table, s),
                .time = {}};
  layout.missing_bytes = std::max(0.0, layout.cost.memory_bytes() - device.usable_bytes());
  return layout;
}

void predict(const Options& o, const ParameterTable& table, const CostOptions& s,
             const Device& device, Layout& layout) {
  layout.time = training_time(o, table, s, layout.cost, device);
  layout.tokens_per_s = static_cast<double>(layout.cost.tokens) / layout.time.total();
}

// The layout of so many ranks that needs least memory.
CostOptions smallest(const Options& o, CostOptions s, std::int64_t ranks, bool may_shard) {
  s.ranks = ranks;
  s.expert = o.is_moe() ? std::gcd(ranks, o.num_experts) : 1;
  s.shard_optimizer = may_shard && ranks > 1;
  s.checkpoint_activations = true;
  return s;
}

std::vector<bool> choices(bool both) {
  return both ? std::vector<bool>{false, true} : std::vector<bool>{false};
}

// Of all layouts of so many ranks that fit, the fastest; the simplest of equals.
Layout fastest(const Options& o, const ParameterTable& table, CostOptions s, const Device& device,
               bool may_shard) {
  std::optional<Layout> best;
  for (s.expert = 1; s.expert <= std::max<std::int64_t>(1, o.num_experts); ++s.expert) {
    if (s.ranks % s.expert != 0 || (s.expert > 1 && o.num_experts % s.expert != 0)) continue;
    for (const bool shard : choices(may_shard && s.ranks > 1)) {
      for (const bool recompute : choices(true)) {
        s.shard_optimizer = shard, s.checkpoint_activations = recompute;
        Layout layout = train_on(o, table, s, device);
        if (!layout.fits()) continue;
        predict(o, table, s, device, layout);
        if (!best || layout.tokens_per_s > best->tokens_per_s) best = layout;
      }
    }
  }
  MOESAIC_ASSERT(best.has_value());
  return *best;
}

}  // namespace

std::vector<std::int64_t> device_counts(const Device& device) {
  constexpr std::int64_t kMost = 1024;
  std::vector<std::int64_t> counts;
  for (std::int64_t n = 1; n <= device.per_node; ++n)
    if (device.per_node % n == 0) counts.push_back(n);
  for (std::int64_t nodes = 2; nodes * device.per_node <= kMost; nodes *= 2) {
    counts.push_back(nodes * device.per_node);
    if (nodes / 2 * 3 * device.per_node <= kMost) counts.push_back(nodes / 2 * 3 * device.per_node);
  }
  return counts;
}

Layout least_training(const Options& o, const ParameterTable& table, CostOptions s,
                      const Device& device, bool may_shard) {
  s.whole_scores = device.type == "cuda";
  s.host_reduction = device.type == "cpu";
  s.expert_copies = true;  // as on a machine that does not multiply bfloat16
  std::optional<Layout> nearest;
  for (const std::int64_t ranks : device_counts(device)) {
    const CostOptions least = smallest(o, s, ranks, may_shard);
    const Layout layout = train_on(o, table, least, device);
    if (layout.fits()) return fastest(o, table, least, device, may_shard);
    if (!nearest || layout.missing_bytes < nearest->missing_bytes) nearest = layout;
  }
  return *nearest;
}

Layout least_generation(const Options& o, const ParameterTable& table, GenerationSizes s,
                        const Device& device) {
  std::optional<Layout> nearest;
  for (const std::int64_t ranks : device_counts(device)) {
    if (ranks > 1 && (!o.is_moe() || o.num_experts % ranks != 0)) continue;
    s.ranks = ranks;
    Layout layout{.ranks = ranks,
                  .expert = ranks,
                  .cost = generation_cost(o, table, s),
                  .time = token_time(o, table, s, device)};
    layout.tokens_per_s = 1 / layout.time.total();
    layout.missing_bytes = std::max(0.0, layout.cost.memory_bytes() - device.usable_bytes());
    if (layout.fits()) return layout;
    if (!nearest || layout.missing_bytes < nearest->missing_bytes) nearest = layout;
  }
  return *nearest;
}

}  // namespace moesaic::arch
