#include "inference/generator.h"

#include <ATen/ops/full.h>

#include <algorithm>

#include "core/clock.h"
#include "core/error.h"
#include "data/batch_builder.h"

namespace moesaic {
namespace {

Batch batch_after(const KvCache& cache, std::span<const std::uint32_t> ids) {
  const std::vector<std::int64_t> wide(ids.begin(), ids.end());
  BatchBuilder batch;
  batch.add(wide, {.position = cache.length(), .last_is_input = true, .has_targets = false});
  return batch.build();
}

}  // namespace

// The chief's word on every rank.
Generator::Next Generator::agree(Next next) const {
  if (context_.world.size() == 1) return next;
  const at::Tensor word = at::full({1}, static_cast<std::int64_t>(next), at::kLong);
  context_.world.broadcast(word, 0, "generate: next");
  return static_cast<Next>(*word.const_data_ptr<std::int64_t>());
}

at::Tensor Generator::read(Ids ids, KvCache& cache) {
  agree(Next::kRead);
  return model_.read(context_, batch_after(cache, ids), cache);
}

at::Tensor Generator::predict(const at::Tensor& hidden_TD, Ids next, KvCache& cache) {
  agree(Next::kPredict);
  return model_.predict(context_, batch_after(cache, next), hidden_TD, cache);
}

Generator::Ids Generator::read_but_the_last(Ids prompt, KvCache& cache) {
  const auto part = static_cast<std::size_t>(options_.prompt_tokens);
  while (prompt.size() > part) {
    const at::Tensor hidden_TD = read(prompt.first(part), cache);
    if (options_.speculate) predict(hidden_TD, prompt.subspan(1, part), cache);
    cache.advance(std::ssize(prompt.first(part)));
    prompt = prompt.subspan(part);
  }
  return prompt;
}

// A draft was right when the model picks the same token: the text is the one without drafts.
std::vector<std::uint32_t> Generator::step(Ids unread, std::optional<std::uint32_t>& draft,
                                           KvCache& cache) {
  const std::int64_t known = std::ssize(unread), begin = cache.length();
  std::vector<std::uint32_t> ids(unread.begin(), unread.end());
  if (draft) ids.push_back(*draft);
  const at::Tensor hidden_TD = read(ids, cache);
  const auto pick = [&](const at::Tensor& hidden, std::int64_t position) {
    return static_cast<std::uint32_t>(sampler_.pick(model_.logits(hidden), position));
  };
  std::vector<std::uint32_t> picked = {pick(hidden_TD[known - 1], begin + known)};
  if (draft && picked[0] == *draft) picked.push_back(pick(hidden_TD[known], begin + known + 1));
  const std::int64_t right = known + std::ssize(picked) - 1;  // tokens that are read and stay
  if (options_.speculate) {
    std::vector<std::uint32_t> next(ids.begin() + 1, ids.begin() + right);
    next.push_back(picked.back());
    const at::Tensor ahead_TD = predict(hidden_TD.narrow(0, 0, right), next, cache);
    draft = pick(ahead_TD[right - 1], begin + right + 1);
  }
  cache.advance(right);
  return picked;
}

Generator::Result Generator::lead(Ids prompt, const std::function<bool(std::uint32_t)>& take) {
  MOESAIC_CHECK(!prompt.empty(), ErrorKind::kData,
                "the prompt has no tokens, and the tokenizer writes none before a text");
  const auto& ends = options_.end_ids;
  KvCache cache = model_.make_cache(std::ssize(prompt) + options_.max_new_tokens + 1);
  Result result;
  Stopwatch watch;
  std::optional<std::uint32_t> draft;
  std::vector<std::uint32_t> picked;
  Ids unread = read_but_the_last(prompt, cache);
  for (bool more = true; more; unread = Ids(&result.ids.back(), 1)) {
    picked = step(unread, draft, cache);
    if (result.ids.empty())
      result.prompt_s = watch.seconds();
    else
      ++result.passes;
    for (const std::uint32_t id : picked) {
      result.ids.push_back(id);
      more = std::find(ends.begin(), ends.end(), id) == ends.end() && take(id);
      if (!more) break;
      if (std::ssize(result.ids) < options_.max_new_tokens) continue;
      result.finish_reason = "length";
      more = false;
      break;
    }
  }
  result.tokens_s = watch.seconds() - result.prompt_s;
  return result;
}

// A rank without the sequence: it has experts that the others ask.
void Generator::follow() {
  KvCache cache = model_.make_cache(0);
  at::Tensor nothing;
  for (Next next = agree(Next::kEnd); next != Next::kEnd; next = agree(Next::kEnd)) {
    if (next == Next::kRead)
      nothing = model_.read(context_, empty_batch(), cache);
    else
      model_.predict(context_, empty_batch(), nothing, cache);
  }
}

Generator::Result Generator::run(Ids prompt, const std::function<bool(std::uint32_t)>& take) {
  if (!context_.is_chief()) {
    follow();
    return {};
  }
  Result result = lead(prompt, take);
  agree(Next::kEnd);
  return result;
}

}  // namespace moesaic
