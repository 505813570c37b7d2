// GradientBuckets: the gradients of all trainable parameters in a few flat buffers, each summed
// over its group by one collective that starts while backward goes on. The layout is a pure
// function of the ParameterSet, and buckets start in their order, so the ranks agree whatever order
// backward takes.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "comm/communicator.h"
#include "parallel/gradients.h"
#include "parallel/ownership.h"
#include "parallel/parameter_set.h"
#include "parallel/rank_context.h"

namespace moesaic {

class GradientBuckets {
 public:
  struct Options {
    std::int64_t bucket_bytes = 25'000'000;  // a larger parameter has a bucket of its own
    /// Each rank gets the sums of the rows that it owns (parallel/ownership.h), instead of all.
    bool spread = false;
  };

  /// Parameters whose gradients are summed together: dense over world, expert over expert_data.
  struct Bucket {
    Scope scope = Scope::kDense;
    at::Tensor flat;                      // gradients one after the other; the padding is zero
    std::vector<std::size_t> parameters;  // positions in the ParameterSet
    std::vector<std::int64_t> counts;     // spread: values of each rank, which lie in rank order
  };

  GradientBuckets(const ParameterSet& parameters, const RankContext& context,
                  const Options& options);

  /// The gradient of `parameter`, shaped like its tensor: add to it. Undefined when it is frozen.
  at::Tensor view(const Parameter& parameter) const;
  /// Those of all trainable parameters of the set, where they are spread of the rows that this rank
  /// owns: views, so that they follow what is added.
  Gradients gradients(const ParameterSet& parameters) const;

  /// Before the first round of a step, unless the buffers are new or used up (optim/optimizer.h);
  /// spread ones are not: what is left of other ranks' rows was never summed.
  void zero();
  /// A backward begins. Sums over the rounds are kept; the collectives start in the last one.
  void begin(bool last_round);
  /// The last contribution of this backward to `parameter` was added. In the last round the buckets
  /// that are ready start. Collective in effect: every rank must reach finish().
  void complete(const Parameter& parameter);
  /// Collective over world and expert_data. Starts the rest (a parameter that nothing completed,
  /// such as an expert without tokens, contributes what it holds) and waits: then the buffers hold
  /// sums over the global batch.
  void finish();

  /// Spread: once each rank has changed the rows that it owns, brings all ranks those of the
  /// others, by way of the buffers, whose gradients are gone. Collective over world and
  /// expert_data.
  void gather(const ParameterSet& parameters);
  bool is_spread() const { return ownership_.has_value(); }

  /// Lets collectives that are under way move on.
  void progress() const { world_.progress(); }

  std::size_t size() const { return buckets_.size(); }
  at::Tensor& flat(std::size_t bucket) { return buckets_[bucket].flat; }
  const std::vector<Bucket>& buckets() const { return buckets_; }

  /// Time that finish() spent waiting, since the construction.
  double wait_seconds() const { return wait_seconds_; }

 private:
  /// Where the gradient of a parameter lies.
  struct Place {
    bool trainable = false;
    std::size_t bucket = 0;
    std::int64_t begin = 0;
  };

  void lay_out(const ParameterSet& parameters, const Options& options, at::ScalarType dtype);
  std::int64_t lay_in_order(const ParameterSet& parameters, Bucket& bucket);
  const Communicator& group_of(const Bucket& bucket) const;
  /// The values of a spread bucket that this rank owns.
  at::Tensor own_part(const Bucket& bucket) const;
  void launch_ready(bool all);

  Communicator world_;
  Communicator expert_data_;
  std::optional<Ownership> ownership_;  // of spread ones
  std::vector<Bucket> buckets_;
  std::vector<std::string> labels_;   // of the buckets' collectives
  std::vector<Place> places_;         // by position in the ParameterSet
  std::vector<at::Tensor> views_;     // by position in the ParameterSet
  std::vector<bool> complete_;        // by position in the ParameterSet, in this backward
  std::vector<std::size_t> missing_;  // of each bucket: parameters not complete in this backward
  std::vector<Work> works_;           // of the buckets that were launched, in their order
  bool last_round_ = false;
  double wait_seconds_ = 0;
};

}  // namespace moesaic
