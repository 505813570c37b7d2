#include "federated/exchange.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <span>

#include "comm/trace_span.h"
#include "federated/doubles.h"
#include "store/hub_names.h"

namespace moesaic {
namespace {

constexpr std::int64_t kValuesAtOnce = 1 << 20;  // of all silos together: they stay in the cache
constexpr std::int64_t kFewest = 4096;           // of one

}  // namespace

std::vector<at::Tensor> Exchange::gather(const Block& block) const {
  std::vector<at::Tensor> rows;
  for (const HeldChange& change : changes_) {
    const int root = change.first_rank + block.shard;
    at::Tensor row = at::empty({block.count}, at::kDouble);
    if (change.file) {
      change.file->read(block.place, block.first, row);
    } else if (world_.rank() == root) {
      row.copy_(change.tensors.at(block.place).flatten().narrow(0, block.first, block.count));
    }
    world_.world.broadcast(row, root, "round.change");
    rows.push_back(std::move(row));
  }
  return rows;
}

void Exchange::visit(const RoundModel& model, bool by_expert, const Joined& joined,
                     const Visit& use) const {
  for (std::size_t place = 0; place < model.shared().size(); ++place) {
    if (joined.contains(place)) continue;
    const RoundModel::Entry& entry = model.shared()[place];
    const int shards = entry.scope == Scope::kExpert ? world_.plan.expert : 1;
    for (int shard = 0; shard < shards; ++shard)
      visit_shard({.place = place, .shard = shard, .name = entry.name}, entry, by_expert, use);
  }
}

void Exchange::visit_shard(Block block, const RoundModel::Entry& entry, bool by_expert,
                           const Visit& use) const {
  const auto silos = static_cast<std::int64_t>(changes_.size());
  const std::int64_t most = std::max(kFewest, kValuesAtOnce / std::max<std::int64_t>(1, silos));
  const std::int64_t values = entry.tensor.numel();
  const bool named = by_expert && entry.scope == Scope::kExpert && values > 0;
  const std::int64_t experts = named ? entry.tensor.size(0) : 1;  // in this shard
  const std::int64_t of_expert = values / experts;
  for (std::int64_t expert = 0; expert < experts; ++expert) {
    if (named) block.name = hub_name(entry.name, block.shard * experts + expert);
    const std::int64_t begin = expert * of_expert;
    for (block.first = begin; block.first < begin + of_expert; block.first += block.count) {
      block.count = std::min(most, begin + of_expert - block.first);
      const std::int64_t before = named ? begin : -block.shard * values;
      block.first_of_name = static_cast<std::size_t>(block.first - before);
      std::vector<at::Tensor> rows = gather(block);
      if (meeting_) rows = meeting_(block.place, block.shard * values + block.first, rows);
      std::vector<std::span<const double>> spans;
      for (const at::Tensor& row : rows) spans.emplace_back(doubles_of(row));
      use(block, spans);
    }
  }
}

void Exchange::apply(aggregate::Aggregator& aggregator, RoundModel& model) const {
  const Span span("round.aggregate");
  const auto& entries = model.shared();
  const bool by_expert = aggregator.options().experts == "routed_tokens";
  if (aggregator.looks_first()) {
    visit(model, by_expert, {},
          [&](const Block& block, aggregate::Rows rows) { aggregator.look(block.name, rows); });
    aggregator.end_look();
  }
  Joined joined;
  if (aggregator.options().lora == "svd" || !model.base().empty())
    joined = join_adapters(aggregator, model);
  const int mine = world_.plan.expert_rank_of(world_.rank());
  visit(model, by_expert, joined, [&](const Block& block, aggregate::Rows rows) {
    const RoundModel::Entry& entry = entries[block.place];
    const at::Tensor out = at::zeros({block.count}, at::kDouble);
    aggregator.step(block.name, block.first_of_name, rows, doubles_of(out));
    if (entry.scope == Scope::kExpert && block.shard != mine) return;
    const at::Tensor values = entry.tensor.view(-1).narrow(0, block.first, block.count);
    at::Tensor(values).copy_(values.to(at::kDouble).add_(out.to(values.device())));
  });
}

}  // namespace moesaic
