#include "inference/scorer.h"

#include <ATen/ops/zeros.h>

#include <algorithm>

#include "data/batch_builder.h"

namespace moesaic {
namespace {

using Groups = std::span<const SequenceGroup>;

template <class Visit>
void for_each_sequence(Groups groups, const Visit& visit) {
  for (const SequenceGroup& group : groups)
    for (std::int64_t i = group.first; i < group.first + group.count; ++i) visit(i, group.shared);
}

// What the groups share, one sequence a group.
Batch batch_of_shared(const SequenceWindow& window, Groups groups) {
  BatchBuilder batch;
  for (const SequenceGroup& group : groups) {
    if (group.shared == 0) continue;
    batch.add(window.of(group.first).first(static_cast<std::size_t>(group.shared)),
              {.example = group.first, .last_is_input = true, .has_targets = false});
  }
  return batch.build();
}

// All ids of each sequence but the shared ones go in, the last one without a target: what a model
// computes may depend on the length of the sequence.
Batch batch_of(const SequenceWindow& window, Groups groups) {
  BatchBuilder batch;
  for_each_sequence(groups, [&](std::int64_t i, std::int64_t shared) {
    batch.add(window.of(i).subspan(static_cast<std::size_t>(shared)),
              {.example = i, .position = shared, .last_is_input = true});
  });
  Batch built = batch.build();
  std::int64_t row = 0;
  for_each_sequence(groups, [&](std::int64_t i, std::int64_t shared) {
    const std::int64_t unasked =  // the target of a row is the next id
        window.firsts[static_cast<std::size_t>(i)] - 1 - shared;
    if (unasked > 0) built.targets_T.narrow(0, row, unasked).fill_(kNoTarget);
    row += window.length(i) - shared;
  });
  return built;
}

// The loss of a position is that of the next id.
void take(const SequenceWindow& window, Groups groups, const at::Tensor& losses_T,
          double* logprobs) {
  const at::Tensor wide = losses_T.to(at::kDouble);
  const double* loss = wide.const_data_ptr<double>();
  for_each_sequence(groups, [&](std::int64_t i, std::int64_t shared) {
    const std::int64_t count = window.length(i) - shared;
    std::transform(loss, loss + count - 1,
                   logprobs + window.offsets[static_cast<std::size_t>(i)] + shared + 1,
                   [](double value) { return 0.0 - value; });  // not -value: that has a -0
    loss += count;
  });
}

// Of the sequences that the ranks score at the same time.
std::int64_t tokens_of(const SequenceWindow& window,
                       std::span<const std::vector<SequenceGroup>> round) {
  std::int64_t tokens = 0;
  for (const auto& groups : round)
    for_each_sequence(groups, [&](std::int64_t i, std::int64_t) { tokens += window.length(i); });
  return tokens;
}

std::vector<KvCache*> pointers(std::vector<KvCache>& caches) {
  std::vector<KvCache*> all;
  for (KvCache& cache : caches) all.push_back(&cache);
  return all;
}

}  // namespace

// Once: a file may have millions of such sequences.
void Scorer::warn_of_length(const SequenceWindow& window) {
  for (std::int64_t i = 0; i < window.sequences() && !warned_; ++i) {
    const std::int64_t length = window.length(i);
    warned_ = warn_beyond_positions(context_.log, model_.arch(), length,
                                    format("the {} tokens of a sequence", length));
  }
}

// Collective over the expert group -> a cache for each sequence, which holds what its group shares;
// none where no group of this rank shares anything.
std::vector<KvCache> Scorer::read_shared(const SequenceWindow& window, Groups groups) {
  std::vector<KvCache> of_groups, of_sequences;
  for (const SequenceGroup& group : groups)
    if (group.shared > 0) of_groups.push_back(model_.make_cache(group.shared));
  if (of_groups.empty()) {
    model_.read(context_, empty_batch(), {});
    return {};
  }
  model_.read(context_, batch_of_shared(window, groups), pointers(of_groups));
  auto read = of_groups.begin();
  for (const SequenceGroup& group : groups) {
    if (group.shared > 0) read->advance(group.shared);
    for (std::int64_t i = group.first; i < group.first + group.count; ++i)
      of_sequences.push_back(group.shared > 0 ? read->copy(window.length(i))
                                              : model_.make_cache(window.length(i)));
    if (group.shared > 0) ++read;
  }
  return of_sequences;
}

// Collective over the expert group; no groups on a rank that has nothing to do. `shared`: a group
// of some rank shares ids.
void Scorer::score(const SequenceWindow& window, Groups groups, bool shared, double* logprobs) {
  std::vector<KvCache> caches;
  if (shared) caches = read_shared(window, groups);
  const Batch batch = groups.empty() ? empty_batch() : batch_of(window, groups);
  take(window, groups, model_.token_losses(context_, batch, pointers(caches)), logprobs);
}

std::vector<double> Scorer::score(const SequenceWindow& window) {
  warn_of_length(window);
  // The angles of such positions follow from the length of the whole sequence.
  const bool may_share = model_.arch().rope.type != "dynamic";
  const auto batches = micro_batches(window, groups_of(window, may_share), options_.batch_tokens);
  const auto count = std::ssize(batches);
  const Stopwatch watch;
  std::int64_t uncounted = std::ssize(window.ids);
  model_.meter().begin();
  // Each number is computed on one rank and 0 on the others: the sum is exact, and in order.
  const at::Tensor logprobs_T = at::zeros({std::ssize(window.ids)}, at::kDouble);
  for (std::int64_t first = 0; first < count; first += context_.world.size()) {
    const auto round = std::span(batches).subspan(
        static_cast<std::size_t>(first),
        static_cast<std::size_t>(std::min<std::int64_t>(context_.world.size(), count - first)));
    const bool shared = std::any_of(round.begin(), round.end(), [](const auto& groups) {
      return std::any_of(groups.begin(), groups.end(), [](const auto& g) { return g.shared > 0; });
    });
    const auto mine = static_cast<std::size_t>(context_.rank());
    score(window, mine < round.size() ? Groups(round[mine]) : Groups(), shared,
          logprobs_T.mutable_data_ptr<double>());
    const std::int64_t tokens = tokens_of(window, round);
    model_.meter().add_tokens(tokens);
    uncounted -= tokens;
  }
  context_.world.all_reduce(logprobs_T, ReduceOp::kSum, "score");
  model_.meter().add_tokens(uncounted);  // of sequences without a micro-batch
  model_.meter().add_items(window.sequences(), watch.seconds());
  model_.meter().end();
  const double* values = logprobs_T.const_data_ptr<double>();
  return {values, values + logprobs_T.numel()};
}

}  // namespace moesaic
