// Placement: which rank of the expert group holds which expert. The weights, their gradients and
// the optimizer's moments lie by slot, rank r holding slots [r e, (r + 1) e); checkpoints and every
// name know experts alone. A placement decides where a product is computed and never what it is.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "comm/communicator.h"
#include "core/json.h"
#include "loss/step_part.h"
#include "moe/routing_stats.h"

namespace moesaic {

/// Slot of each expert.
using Slots = std::vector<std::int64_t>;

Slots slots_in_order(std::int64_t experts);

/// Spreads `load` (per expert) over `ranks` with as many experts each, so that the heaviest rank
/// has little: experts from the heaviest on go to the rank with the least load that has room
/// (longest processing time first, Graham 1969). Where that is no better than `now` for the
/// heaviest rank, `now` stays.
Slots balanced_slots(const std::vector<double>& load, std::int64_t ranks, const Slots& now);

/// Moves the rows of `local` [e, ...], this rank's slots as `from` says, to where `to` wants them,
/// in place. Collective over the expert group.
void move_experts(const at::Tensor& local, const Slots& from, const Slots& to,
                  const Communicator& expert_group);

/// The placement of every layer's experts, and the load that the next one is made from.
/// A run that balances has it as a part: saves are in the order of experts, after each the
/// experts move to the next placement, and the manifest keeps it under "placement".
class ExpertPlacement : public StepPart {
 public:
  ExpertPlacement(std::int64_t layers, std::int64_t experts, std::int64_t ranks,
                  at::Device device = at::kCPU);

  /// int64 [layers, E], for dispatchers; changes in place.
  const at::Tensor& slot_LE() const { return slot_LE_; }

  /// Adds a step's choices to the load, int64 [layers, E].
  void measure(const at::Tensor& count_LE);
  /// Makes the next placement from the load since the last time; nothing moves yet.
  void plan();
  /// Moves expert entries of `state`, this rank's rows, in place: to the order of experts, for a
  /// checkpoint, or to the planned placement. Refuses entries that are spread, before any moves.
  /// Collective over the expert group.
  void lie_in_order(const StateDict& state, const Communicator& expert_group);
  void lie_as_planned(const StateDict& state, const Communicator& expert_group);

  /// The planned placement, to be kept with a checkpoint, and one that was kept. One of another
  /// number of layers or experts is ignored.
  Json table() const;
  void plan_from(const Json& table);

  /// Where the choices of a step are, once it is over.
  void follow(const RoutingStats& routing) { routing_ = &routing; }
  void after(const RankContext& context, const Step& step) override;
  /// Collective over the expert group, as are the next ones and restore().
  void before_save(const RankContext& context, const LiveState& live) override;
  void after_save(const RankContext& context, const LiveState& live) override;
  void add_notes(Json& training) const override { training["placement"] = table(); }
  void before_restore(const RankContext& context, const LiveState& live) override;
  void restore(const RankContext& context, const Json& training, const LiveState& live) override;

 private:
  void move(const StateDict& state, const std::vector<Slots>& to, const Communicator& group);

  std::int64_t ranks_;
  std::vector<std::vector<double>> load_;
  std::vector<Slots> planned_;
  std::vector<Slots> lying_;  // as the weights lie now
  at::Tensor slot_LE_;
  const RoutingStats* routing_ = nullptr;
};

}  // namespace moesaic
