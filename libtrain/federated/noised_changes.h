// NoisedChanges: a silo's change as it leaves where silos hide themselves (federated.privacy.where:
// silos): scaled to a norm of clip_norm at most, with this silo's share of the noise of the sum.
#pragma once

#include <cstdint>
#include <vector>

#include "aggregate/private_sum.h"
#include "core/secret_key.h"
#include "federated/round_model.h"
#include "parallel/rank_context.h"

namespace moesaic {

class NoisedChanges {
 public:
  /// `key` is this silo's, the same on all ranks of its slot. `model` must outlive it.
  NoisedChanges(const aggregate::PrivateSum& sum, const SecretKey& key, const RoundModel& model)
      : sum_(sum), key_(key), model_(model) {}

  /// `change`, as RoundModel::change gives it, in float64 and rounded once to what it was in. A
  /// round's noise is a function of key, round, parameter and place in the whole parameter, so
  /// replicas keep the same bits; a key makes one round once. Collective over the slot.
  void apply(const RankContext& slot, std::int64_t round, std::vector<at::Tensor>& change) const;

 private:
  /// Each logical value counts once. Collective over the slot.
  double norm(const RankContext& slot, const std::vector<at::Tensor>& change) const;

  aggregate::PrivateSum sum_;
  SecretKey key_;
  const RoundModel& model_;
};

}  // namespace moesaic
