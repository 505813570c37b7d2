#include "parallel/gradient_buckets.h"

#include <ATen/ops/zeros.h>

#include <algorithm>
#include <array>
#include <numeric>
#include <utility>

#include "comm/trace_span.h"
#include "core/clock.h"
#include "core/error.h"

namespace moesaic {
namespace {

constexpr std::int64_t kAlign = 16;  // values: each gradient begins at a cache line

std::int64_t padded(std::int64_t numel) { return (numel + kAlign - 1) / kAlign * kAlign; }

/// float64 runs are float64 throughout; otherwise gradients add up in float32.
at::ScalarType gradient_dtype(const ParameterSet& parameters) {
  const bool wide = std::any_of(parameters.begin(), parameters.end(), [](const Parameter& p) {
    return p.tensor.scalar_type() == at::kDouble;
  });
  return wide ? at::kDouble : at::kFloat;
}

}  // namespace

GradientBuckets::GradientBuckets(const ParameterSet& parameters, const RankContext& context,
                                 const Options& options)
    : world_(context.world), expert_data_(context.expert_data) {
  places_.resize(parameters.size());
  views_.resize(parameters.size());
  complete_.resize(parameters.size());
  if (options.spread) ownership_ = Ownership::make(parameters, context);
  lay_out(parameters, options, gradient_dtype(parameters));
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    if (!places_[i].trainable) continue;
    const at::Tensor& tensor = parameters[i].tensor;
    views_[i] = buckets_[places_[i].bucket]
                    .flat.narrow(0, places_[i].begin, tensor.numel())
                    .view(tensor.sizes());
  }
  missing_.resize(buckets_.size());
}

/// Backward completes parameters roughly from the last to the first, so buckets fill in that order
/// and are numbered by their last parameter: a bucket rarely waits for one before it.
void GradientBuckets::lay_out(const ParameterSet& parameters, const Options& options,
                              at::ScalarType dtype) {
  const auto limit = options.bucket_bytes / static_cast<std::int64_t>(c10::elementSize(dtype));
  struct Open {
    Bucket bucket;
    std::int64_t numel = 0;
  };
  std::array<Open, 2> open;
  std::vector<Open> closed;
  for (std::size_t k = parameters.size(); k-- > 0;) {
    const Parameter& parameter = parameters[k];
    if (!parameter.trainable) continue;
    Open& target = open[parameter.scope == Scope::kDense ? 0 : 1];
    const std::int64_t numel = padded(parameter.local_numel());
    if (!target.bucket.parameters.empty() && target.numel + numel > limit) {
      closed.push_back(std::exchange(target, Open{}));
    }
    target.bucket.scope = parameter.scope;
    target.bucket.parameters.push_back(k);
    places_[k] = {.trainable = true, .begin = target.numel};
    target.numel += numel;
  }
  for (Open& rest : open) {
    if (!rest.bucket.parameters.empty()) closed.push_back(std::move(rest));
  }
  std::sort(closed.begin(), closed.end(), [](const Open& a, const Open& b) {
    return a.bucket.parameters.back() > b.bucket.parameters.back();
  });
  for (Open& done : closed) {
    if (ownership_) done.numel = lay_in_order(parameters, done.bucket);
    const auto device = parameters[done.bucket.parameters.front()].tensor.device();
    done.bucket.flat = at::zeros({done.numel}, at::TensorOptions(dtype).device(device));
    for (const std::size_t k : done.bucket.parameters) places_[k].bucket = buckets_.size();
    labels_.push_back(format("{} gradients, bucket {}",
                             done.bucket.scope == Scope::kDense ? "dense" : "expert",
                             buckets_.size()));
    buckets_.push_back(std::move(done.bucket));
  }
}

/// Without padding and in the order of the set, in which a rank's values lie together.
std::int64_t GradientBuckets::lay_in_order(const ParameterSet& parameters, Bucket& bucket) {
  std::reverse(bucket.parameters.begin(), bucket.parameters.end());
  bucket.counts = ownership_->counts(bucket.parameters);
  std::int64_t numel = 0;
  for (const std::size_t k : bucket.parameters) {
    places_[k].begin = numel;
    numel += parameters[k].local_numel();
  }
  return numel;
}

at::Tensor GradientBuckets::view(const Parameter& parameter) const {
  return views_.at(static_cast<std::size_t>(parameter.index));
}

Gradients GradientBuckets::gradients(const ParameterSet& parameters) const {
  Gradients gradients{.spread = is_spread()};
  for (const Parameter& parameter : parameters) {
    if (!parameter.trainable) continue;
    if (!ownership_) {
      gradients.entries.push_back({parameter, view(parameter)});
    } else if (const RowRange own = ownership_->own(parameter); own.count > 0) {
      gradients.entries.push_back(
          {parameter, view(parameter).narrow(0, own.first, own.count), own});
    }
  }
  return gradients;
}

void GradientBuckets::zero() {
  for (Bucket& bucket : buckets_) bucket.flat.zero_();
}

void GradientBuckets::begin(bool last_round) {
  MOESAIC_ASSERT(works_.empty());  // finish() ends a step
  last_round_ = last_round;
  std::fill(complete_.begin(), complete_.end(), false);
  for (std::size_t k = 0; k < buckets_.size(); ++k) missing_[k] = buckets_[k].parameters.size();
}

void GradientBuckets::complete(const Parameter& parameter) {
  const auto i = static_cast<std::size_t>(parameter.index);
  if (!places_.at(i).trainable) return;
  MOESAIC_CHECK(!complete_[i], ErrorKind::kInternal,
                "the gradient of {} was completed twice in one backward", parameter.name);
  complete_[i] = true;
  --missing_[places_[i].bucket];
  if (last_round_) launch_ready(false);
}

const Communicator& GradientBuckets::group_of(const Bucket& bucket) const {
  return bucket.scope == Scope::kDense ? world_ : expert_data_;
}

at::Tensor GradientBuckets::own_part(const Bucket& bucket) const {
  const auto mine = bucket.counts.begin() + group_of(bucket).rank();
  return bucket.flat.narrow(0, std::accumulate(bucket.counts.begin(), mine, std::int64_t{0}),
                            *mine);
}

void GradientBuckets::gather(const ParameterSet& parameters) {
  MOESAIC_ASSERT(ownership_ && works_.empty());
  const Span span("parameter gather");
  for (std::size_t k = 0; k < buckets_.size(); ++k) {
    const Bucket& bucket = buckets_[k];
    for (const std::size_t i : bucket.parameters) {
      const RowRange own = ownership_->own(parameters[i]);
      if (own.count == 0) continue;
      views_[i]
          .narrow(0, own.first, own.count)
          .copy_(parameters[i].tensor.narrow(0, own.first, own.count));
    }
    works_.push_back(group_of(bucket).all_gather_async(own_part(bucket), bucket.counts, bucket.flat,
                                                       labels_[k] + ", values"));
  }
  for (std::size_t k = 0; k < buckets_.size(); ++k) {
    works_[k].wait();
    for (const std::size_t i : buckets_[k].parameters)
      at::Tensor(parameters[i].tensor).copy_(views_[i]);
  }
  works_.clear();
}

void GradientBuckets::launch_ready(bool all) {
  while (works_.size() < buckets_.size() && (all || missing_[works_.size()] == 0)) {
    const std::size_t k = works_.size();
    const Bucket& bucket = buckets_[k];
    const Communicator& group = group_of(bucket);
    works_.push_back(ownership_ ? group.reduce_scatter_async(bucket.flat, bucket.counts,
                                                             own_part(bucket), labels_[k])
                                : group.all_reduce_async(bucket.flat, ReduceOp::kSum, labels_[k]));
  }
}

void GradientBuckets::finish() {
  MOESAIC_ASSERT(last_round_);
  const Span span("gradient sync");
  launch_ready(true);
  const Stopwatch watch;
  for (Work& work : works_) work.wait();
  wait_seconds_ += watch.seconds();
  works_.clear();
  last_round_ = false;
}

}  // namespace moesaic
