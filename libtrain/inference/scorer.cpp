#include "inference/scorer.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>

#include <algorithm>

#include "data/batch_builder.h"

namespace moesaic {
namespace {

using Indices = std::vector<std::int64_t>;

at::Tensor tensor_of(const std::vector<std::int64_t>& values) {
  const at::Tensor tensor = at::empty({std::ssize(values)}, at::kLong);
  std::copy(values.begin(), values.end(), tensor.mutable_data_ptr<std::int64_t>());
  return tensor;
}

void broadcast_values(const Communicator& world, std::vector<std::int64_t>& values,
                      std::int64_t count, const char* label) {
  values.resize(static_cast<std::size_t>(count));
  const at::Tensor tensor = tensor_of(values);
  world.broadcast(tensor, 0, label);
  std::copy_n(tensor.const_data_ptr<std::int64_t>(), count, values.begin());
}

std::int64_t first_of(const SequenceWindow& window, std::int64_t sequence) {
  return window.offsets[static_cast<std::size_t>(sequence)];
}

std::int64_t length_of(const SequenceWindow& window, std::int64_t sequence) {
  return first_of(window, sequence + 1) - first_of(window, sequence);
}

// Of the micro-batches that the ranks compute at the same time.
std::int64_t tokens_of_round(const SequenceWindow& window, const std::vector<Indices>& batches,
                             std::int64_t first, std::int64_t ranks) {
  std::int64_t tokens = 0;
  for (std::int64_t i = first; i < std::min(first + ranks, std::ssize(batches)); ++i) {
    for (const std::int64_t sequence : batches[static_cast<std::size_t>(i)])
      tokens += length_of(window, sequence);
  }
  return tokens;
}

// All ids of each sequence go in, the last one without a target: what a model computes may depend
// on the length of the sequence.
Batch batch_of(const SequenceWindow& window, const Indices& sequences) {
  BatchBuilder batch;
  for (const std::int64_t sequence : sequences) {
    const std::span ids(window.ids.data() + first_of(window, sequence),
                        static_cast<std::size_t>(length_of(window, sequence)));
    batch.add(ids, {.example = sequence, .last_is_input = true});
  }
  Batch built = batch.build();
  std::int64_t row = 0;
  for (const std::int64_t sequence : sequences) {  // the target of a row is the next id
    const std::int64_t unasked = window.firsts[static_cast<std::size_t>(sequence)] - 1;
    if (unasked > 0) built.targets_T.narrow(0, row, unasked).fill_(kNoTarget);
    row += length_of(window, sequence);
  }
  return built;
}

// The loss of a position is that of the next id.
void take(const SequenceWindow& window, const Indices& sequences, const at::Tensor& losses_T,
          double* logprobs) {
  const at::Tensor wide = losses_T.to(at::kDouble);
  const double* loss = wide.const_data_ptr<double>();
  for (const std::int64_t sequence : sequences) {
    const std::int64_t count = length_of(window, sequence);
    std::transform(loss, loss + count - 1, logprobs + first_of(window, sequence) + 1,
                   [](double value) { return 0.0 - value; });  // not -value: that has a -0
    loss += count;
  }
}

}  // namespace

void SequenceWindow::add(std::span<const std::uint32_t> sequence, std::int64_t first) {
  ids.insert(ids.end(), sequence.begin(), sequence.end());
  offsets.push_back(std::ssize(ids));
  firsts.push_back(first);
}

SequenceWindow broadcast(const Communicator& world, const SequenceWindow& window) {
  SequenceWindow all = window;
  Indices sizes = {std::ssize(window.ids), std::ssize(window.offsets)};
  broadcast_values(world, sizes, 2, "window (sizes)");
  broadcast_values(world, all.ids, sizes[0], "window (ids)");
  broadcast_values(world, all.offsets, sizes[1], "window (offsets)");
  broadcast_values(world, all.firsts, sizes[1] - 1, "window (firsts)");
  return all;
}

std::vector<Indices> micro_batches(const SequenceWindow& window, std::int64_t batch_tokens) {
  Indices order;
  for (std::int64_t i = 0; i < window.sequences(); ++i) {
    if (length_of(window, i) > 1) order.push_back(i);
  }
  std::stable_sort(order.begin(), order.end(), [&](std::int64_t a, std::int64_t b) {
    return length_of(window, a) > length_of(window, b);
  });
  std::vector<Indices> batches;
  std::int64_t room = 0;
  for (const std::int64_t sequence : order) {
    const std::int64_t length = length_of(window, sequence);
    if (batches.empty() || length > room) {
      batches.emplace_back();
      room = batch_tokens;
    }
    batches.back().push_back(sequence);
    room -= length;
  }
  return batches;
}

// Once: a file may have millions of such sequences.
void Scorer::warn_of_length(const SequenceWindow& window) {
  for (std::int64_t i = 0; i < window.sequences() && !warned_; ++i) {
    const std::int64_t length = length_of(window, i);
    warned_ = warn_beyond_positions(context_.log, model_.arch(), length,
                                    format("the {} tokens of a sequence", length));
  }
}

std::vector<double> Scorer::score(const SequenceWindow& window) {
  warn_of_length(window);
  const auto batches = micro_batches(window, options_.batch_tokens);
  const auto count = std::ssize(batches);
  const Stopwatch watch;
  std::int64_t uncounted = std::ssize(window.ids);
  model_.meter().begin();
  // Each number is computed on one rank and 0 on the others: the sum is exact, and in order.
  const at::Tensor logprobs_T = at::zeros({std::ssize(window.ids)}, at::kDouble);
  for (std::int64_t first = 0; first < count; first += context_.world.size()) {
    const std::int64_t mine = first + context_.rank();
    if (mine < count) {
      const Indices& sequences = batches[static_cast<std::size_t>(mine)];
      take(window, sequences, model_.token_losses(context_, batch_of(window, sequences)),
           logprobs_T.mutable_data_ptr<double>());
    } else {
      model_.token_losses(context_, empty_batch());
    }
    const std::int64_t tokens = tokens_of_round(window, batches, first, context_.world.size());
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
