#include "engine/generator.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <ATen/ops/zeros.h>

#include <algorithm>

#include "core/clock.h"
#include "core/error.h"

namespace moesaic {
namespace {

Batch batch_behind(const KvCache& cache, std::span<const std::uint32_t> ids) {
  const std::int64_t count = std::ssize(ids), begin = cache.length();
  Batch batch;
  batch.ids_T = at::empty({count}, at::kLong);
  std::copy(ids.begin(), ids.end(), batch.ids_T.mutable_data_ptr<std::int64_t>());
  batch.targets_T = at::full({count}, kNoTarget, at::kLong);
  batch.positions_T = at::arange(begin, begin + count, at::kLong);
  batch.example_id_T = at::zeros({count}, at::kLong);
  batch.sequence_offsets = {0, count};
  return batch;
}

}  // namespace

// The chief's word on every rank: whether another forward pass comes.
bool Generator::agree(bool more) const {
  if (context_.world.size() == 1) return more;
  const at::Tensor word = at::full({1}, static_cast<std::int64_t>(more), at::kLong);
  context_.world.broadcast(word, 0, "generate: next");
  return *word.const_data_ptr<std::int64_t>() != 0;
}

// Logits behind the last of `ids`, which follow what is in the cache.
at::Tensor Generator::read(std::span<const std::uint32_t> ids, KvCache& cache) {
  at::Tensor logits_V;
  while (!ids.empty()) {
    const auto part =
        ids.first(std::min(ids.size(), static_cast<std::size_t>(options_.prompt_tokens)));
    ids = ids.subspan(part.size());
    agree(true);
    logits_V = model_.next_logits(context_, batch_behind(cache, part), cache);
    cache.advance(std::ssize(part));
  }
  return logits_V;
}

Generator::Result Generator::lead(std::span<const std::uint32_t> prompt,
                                  const std::function<bool(std::uint32_t)>& take) {
  MOESAIC_CHECK(!prompt.empty(), ErrorKind::kData,
                "the prompt has no tokens, and the tokenizer writes none before a text");
  const Sampler sampler(options_.sampling);
  const std::int64_t before = std::ssize(prompt);
  KvCache cache(model_.arch().num_hidden_layers, before + options_.max_new_tokens);
  Result result;
  Stopwatch watch;
  at::Tensor logits_V = read(prompt, cache);
  result.prompt_s = watch.seconds();
  while (true) {
    const std::uint32_t id[1] = {
        static_cast<std::uint32_t>(sampler.pick(logits_V, before + std::ssize(result.ids)))};
    result.ids.push_back(id[0]);
    const auto& ends = options_.end_ids;
    if (std::find(ends.begin(), ends.end(), id[0]) != ends.end() || !take(id[0])) break;
    if (std::ssize(result.ids) == options_.max_new_tokens) {
      result.finish_reason = "length";
      break;
    }
    logits_V = read(id, cache);
  }
  result.tokens_s = watch.seconds() - result.prompt_s;
  return result;
}

// A rank without the sequence: it has experts that the others ask.
void Generator::follow() {
  KvCache cache(model_.arch().num_hidden_layers, 0);
  while (agree(false)) model_.next_logits(context_, empty_batch(), cache);
}

Generator::Result Generator::run(std::span<const std::uint32_t> prompt,
                                 const std::function<bool(std::uint32_t)>& take) {
  if (!context_.is_chief()) {
    follow();
    return {};
  }
  Result result = lead(prompt, take);
  agree(false);
  return result;
}

}  // namespace moesaic
