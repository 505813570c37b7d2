#include "moe/placement.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/tensor.h>

#include <algorithm>
#include <map>
#include <numeric>
#include <string>

#include "core/error.h"

namespace moesaic {
namespace {

std::size_t at(std::int64_t i) { return static_cast<std::size_t>(i); }

std::vector<double> load_of_ranks(const std::vector<double>& load, std::int64_t ranks,
                                  const Slots& slots) {
  const std::int64_t local = static_cast<std::int64_t>(load.size()) / ranks;
  std::vector<double> sums(at(ranks), 0.0);
  for (std::size_t e = 0; e < load.size(); ++e) sums[at(slots[e] / local)] += load[e];
  return sums;
}

double heaviest(const std::vector<double>& load, std::int64_t ranks, const Slots& slots) {
  const auto sums = load_of_ranks(load, ranks, slots);
  return *std::max_element(sums.begin(), sums.end());
}

// N of "...layers.N....".
std::int64_t layer_number(const std::string& name) {
  const std::string word = "layers.";
  const std::size_t found = name.find(word);
  MOESAIC_ASSERT(found != std::string::npos);
  return std::stoll(name.substr(found + word.size()));
}

Slots inverse(const Slots& slots) {
  Slots experts(slots.size());
  for (std::size_t e = 0; e < slots.size(); ++e)
    experts[at(slots[e])] = static_cast<std::int64_t>(e);
  return experts;
}

}  // namespace

Slots slots_in_order(std::int64_t experts) {
  Slots slots(at(experts));
  std::iota(slots.begin(), slots.end(), std::int64_t{0});
  return slots;
}

Slots balanced_slots(const std::vector<double>& load, std::int64_t ranks, const Slots& now) {
  const auto experts = static_cast<std::int64_t>(load.size());
  const std::int64_t local = experts / ranks;
  Slots order = slots_in_order(experts);
  std::stable_sort(order.begin(), order.end(),
                   [&load](std::int64_t a, std::int64_t b) { return load[at(a)] > load[at(b)]; });
  std::vector<double> sum(at(ranks), 0.0);
  std::vector<std::int64_t> used(at(ranks), 0);
  Slots slots(at(experts));
  for (const std::int64_t expert : order) {
    std::int64_t best = -1;
    for (std::int64_t r = 0; r < ranks; ++r) {
      if (used[at(r)] < local && (best < 0 || sum[at(r)] < sum[at(best)])) best = r;
    }
    slots[at(expert)] = best * local + used[at(best)]++;
    sum[at(best)] += load[at(expert)];
  }
  return heaviest(load, ranks, slots) < heaviest(load, ranks, now) ? slots : now;
}

void move_experts(const at::Tensor& local, const Slots& from, const Slots& to,
                  const Communicator& expert_group) {
  if (from == to) return;
  const std::int64_t rows = local.size(0), first = expert_group.rank() * rows;
  const Slots leaving = inverse(from), arriving = inverse(to);
  // Both sides list the rows of a pair of ranks in the order of the experts.
  const auto plan = [&](const Slots& mine, const Slots& other, std::vector<std::int64_t>& counts) {
    Slots experts(mine.begin() + first, mine.begin() + first + rows);
    std::sort(experts.begin(), experts.end(), [&](std::int64_t a, std::int64_t b) {
      return std::make_pair(other[at(a)] / rows, a) < std::make_pair(other[at(b)] / rows, b);
    });
    counts.assign(at(expert_group.size()), 0);
    for (const std::int64_t expert : experts) ++counts[at(other[at(expert)] / rows)];
    return experts;
  };
  const auto places = [&](const Slots& experts, const Slots& slots) {
    Slots rows_of;
    for (const std::int64_t expert : experts) rows_of.push_back(slots[at(expert)] - first);
    return at::tensor(rows_of, at::TensorOptions(at::kLong).device(local.device()));
  };
  std::vector<std::int64_t> send, receive;
  const Slots out = plan(leaving, to, send), in = plan(arriving, from, receive);
  const at::Tensor going = local.detach().index_select(0, places(out, from));
  at::Tensor coming = at::empty_like(going);
  expert_group.all_to_all_async(going, send, coming, receive, "placement.move").wait();
  local.detach().index_copy_(0, places(in, to), coming);
}

ExpertPlacement::ExpertPlacement(std::int64_t layers, std::int64_t experts, std::int64_t ranks,
                                 at::Device device)
    : ranks_(ranks),
      load_(at(layers), std::vector<double>(at(experts), 0.0)),
      planned_(at(layers), slots_in_order(experts)),
      lying_(planned_),
      slot_LE_(
          at::arange(experts, at::TensorOptions(at::kLong).device(device)).repeat({layers, 1})) {}

void ExpertPlacement::measure(const at::Tensor& count_LE) {
  const at::Tensor count = count_LE.cpu().contiguous();
  for (std::size_t layer = 0; layer < load_.size(); ++layer) {
    const auto* row = count[static_cast<std::int64_t>(layer)].const_data_ptr<std::int64_t>();
    for (std::size_t e = 0; e < load_[layer].size(); ++e)
      load_[layer][e] += static_cast<double>(row[e]);
  }
}

void ExpertPlacement::plan() {
  for (std::size_t layer = 0; layer < load_.size(); ++layer) {
    planned_[layer] = balanced_slots(load_[layer], ranks_, planned_[layer]);
    std::fill(load_[layer].begin(), load_[layer].end(), 0.0);
  }
}

void ExpertPlacement::lie_in_order(const StateDict& state, const Communicator& expert_group) {
  const std::vector<Slots> order(
      planned_.size(), slots_in_order(static_cast<std::int64_t>(planned_.front().size())));
  move(state, order, expert_group);
}

void ExpertPlacement::lie_as_planned(const StateDict& state, const Communicator& expert_group) {
  move(state, planned_, expert_group);
}

void ExpertPlacement::move(const StateDict& state, const std::vector<Slots>& to,
                           const Communicator& group) {
  std::map<std::int64_t, std::vector<const StateEntry*>> by_layer;
  for (const StateEntry& entry : state) {
    if (entry.scope != Scope::kExpert) continue;
    MOESAIC_CHECK(!entry.spread, ErrorKind::kInternal,
                  "'{}' is spread over the ranks that hold the same experts: such state cannot "
                  "follow experts that change ranks",
                  entry.name);
    by_layer[layer_number(entry.name)].push_back(&entry);
  }
  MOESAIC_ASSERT(by_layer.size() == to.size());
  std::size_t layer = 0;
  for (const auto& [number, entries] : by_layer) {
    for (const StateEntry* entry : entries)
      move_experts(entry->tensor, lying_[layer], to[layer], group);
    ++layer;
  }
  lying_ = to;
  for (std::size_t i = 0; i < to.size(); ++i)
    slot_LE_[static_cast<std::int64_t>(i)].copy_(at::tensor(to[i], at::kLong));
}

Json ExpertPlacement::table() const { return planned_; }

void ExpertPlacement::plan_from(const Json& table) {
  if (!table.is_array() || table.size() != planned_.size()) return;
  std::vector<Slots> read;
  for (const Json& row : table) {
    if (!row.is_array()) return;
    Slots slots;
    for (const Json& slot : row) {
      if (!slot.is_number_integer()) return;
      slots.push_back(slot.get<std::int64_t>());
    }
    Slots sorted = slots;
    std::sort(sorted.begin(), sorted.end());
    if (sorted != slots_in_order(static_cast<std::int64_t>(planned_.front().size()))) return;
    read.push_back(std::move(slots));
  }
  planned_ = std::move(read);
}

void ExpertPlacement::after(const RankContext& /*context*/, const Step& /*step*/) {
  measure(routing_->counts());
}

void ExpertPlacement::before_save(const RankContext& context, const LiveState& live) {
  plan();
  lie_in_order(live.entries, context.expert);
}

void ExpertPlacement::after_save(const RankContext& context, const LiveState& live) {
  live.before_change();
  lie_as_planned(live.entries, context.expert);
}

void ExpertPlacement::before_restore(const RankContext& context, const LiveState& live) {
  lie_in_order(live.entries, context.expert);
}

void ExpertPlacement::restore(const RankContext& context, const Json& training,
                              const LiveState& live) {
  plan_from(training.value("placement", Json()));
  lie_as_planned(live.entries, context.expert);
}

}  // namespace moesaic
