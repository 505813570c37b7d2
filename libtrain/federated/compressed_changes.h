// CompressedChanges: what gets through of a silo's changes where they travel smaller, and what
// waits for the next round (error feedback).
#pragma once

#include <cstdint>
#include <vector>

#include "aggregate/compression.h"
#include "federated/round_model.h"
#include "parallel/rank_context.h"
#include "parallel/state_dict.h"

namespace moesaic {

class CompressedChanges {
 public:
  /// `model` must outlive it, and have been taken from `parameters`. Local.
  CompressedChanges(const aggregate::Compression& way, const ParameterSet& parameters,
                    const RoundModel& model);

  /// What travels, by place in RoundModel::shared(): the bytes of each parameter, whole.
  using Packed = std::vector<std::vector<std::uint8_t>>;

  /// `change`, as RoundModel::change gives it, becomes what is read of it at the other end, in
  /// float64. Experts are compressed whole, so that the layout changes no bit. Collective over the
  /// slot.
  Packed apply(const RankContext& slot, std::vector<at::Tensor>& change);

  /// What did not get through, under "left_over/<parameter>".
  StateDict state() const { return left_over_; }

 private:
  /// -> what is read at the other end.
  at::Tensor send(const at::Tensor& whole, const at::Tensor& left_over, Packed& packed) const;

  aggregate::Compression way_;
  const RoundModel& model_;
  StateDict left_over_;  // float64, whole, by place in model.shared()
};

}  // namespace moesaic
