// Exchange: the changes of a round's silos meet on every rank, block by block, and the aggregator
// makes the new model of them. Every rank does the same with the same numbers, as with an optimizer
// step; no rank ever holds all changes.
#pragma once

#include <functional>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "aggregate/aggregator.h"
#include "federated/round_model.h"
#include "federated/shared_file.h"
#include "parallel/rank_context.h"

namespace moesaic {

/// A silo's change, held by the ranks of the slot that trained it.
struct HeldChange {
  int first_rank = 0;  // of the slot, in world
  /// RoundModel::change; on other ranks empty.
  std::vector<at::Tensor> tensors = {};
  /// In place of the tensors: the file that it came in from another site, on a world of one rank.
  std::shared_ptr<const SharedFile> file = {};
};

class Exchange {
 public:
  /// Where the aggregator gets other rows than the silos' own: what becomes of these, whose first
  /// value is number `first` of the whole parameter at `place`. The same on all ranks.
  using Meeting = std::function<std::vector<at::Tensor>(std::size_t place, std::int64_t first,
                                                        const std::vector<at::Tensor>& rows)>;

  /// `world`: all ranks of the job, with expert groups of the same size as the silos' own.
  /// `changes` in the order of the aggregator's reports, or of those of the meeting; both must
  /// outlive it.
  Exchange(const RankContext& world, const std::vector<HeldChange>& changes, Meeting meeting = {})
      : world_(world), changes_(changes), meeting_(std::move(meeting)) {}

  /// The aggregator's begin_round() or begin_sum() was called. Adds what it makes of the changes to
  /// `model`. Error(kData) on all ranks when a change cannot be taken. Collective over world.
  void apply(aggregate::Aggregator& aggregator, RoundModel& model) const;

 private:
  /// Values [first, first + count) of the shard that the ranks at place `shard` of an expert group
  /// hold; a dense parameter has one shard, which all ranks hold.
  struct Block {
    std::size_t place = 0;  // of the parameter in RoundModel::shared()
    int shard = 0;
    std::int64_t first = 0, count = 0;
    std::string name;  // what the aggregator calls it: the parameter, or one expert of it
    std::size_t first_of_name = 0;  // the first value among those of that name
  };
  /// Places of parameters that were seen to in another way.
  using Joined = std::set<std::size_t>;
  using Visit = std::function<void(const Block&, aggregate::Rows)>;
  /// All blocks of all shared parameters but `joined`, in their order; `by_expert`: each expert has
  /// a name of its own. Collective over world.
  void visit(const RoundModel& model, bool by_expert, const Joined& joined, const Visit& use) const;
  void visit_shard(Block block, const RoundModel::Entry& entry, bool by_expert,
                   const Visit& use) const;
  /// aggregator.lora svd, stacking, residual: the adapters' new factors, and what goes into the
  /// base, by aggregate_lora(). -> their places. Collective over world.
  Joined join_adapters(const aggregate::Aggregator& aggregator, RoundModel& model) const;
  /// One adapter, of this rank's experts; `base` is nullptr with svd. Local.
  struct AdapterEntries {
    const RoundModel::Entry& a;
    const RoundModel::Entry& b;
    const RoundModel::Entry* base;
  };
  void join_pair(const aggregate::Aggregator& aggregator, const std::vector<at::Tensor>& changes_a,
                 const std::vector<at::Tensor>& changes_b, const AdapterEntries& adapter) const;
  /// The block of every silo's change, in float64. Collective over world.
  std::vector<at::Tensor> gather(const Block& block) const;

  const RankContext& world_;
  const std::vector<HeldChange>& changes_;
  Meeting meeting_;
};

}  // namespace moesaic
