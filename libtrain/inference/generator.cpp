#include "inference/generator.h"

#include <ATen/ops/full.h>

#include <algorithm>
#include <utility>

#include "core/clock.h"
#include "core/error.h"
#include "data/batch_builder.h"
#include "parallel/threads.h"

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
  KvCache* const caches[] = {&cache};
  const Batch batch = batch_after(cache, ids);
  if (ids.size() == 1) {
    agree(Next::kReadSingle);
    return model_.read_single(context_, batch, caches);
  }
  agree(Next::kRead);
  return model_.read(context_, batch, caches);
}

at::Tensor Generator::predict(const at::Tensor& hidden_TD, Ids next, KvCache& cache) {
  KvCache* const caches[] = {&cache};
  agree(Next::kPredict);
  return model_.predict(context_, batch_after(cache, next), hidden_TD, caches);
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
  const auto pick_after = [&](const at::Tensor& all_TD, std::int64_t row, std::int64_t position) {
    return pick(model_.logits(all_TD.narrow(0, row, 1))[0], position);
  };
  std::vector<std::uint32_t> picked = {pick_after(hidden_TD, known - 1, begin + known)};
  if (draft && picked[0] == *draft)
    picked.push_back(pick_after(hidden_TD, known, begin + known + 1));
  const std::int64_t right = known + std::ssize(picked) - 1;  // tokens that are read and stay
  if (options_.speculate) {
    std::vector<std::uint32_t> next(ids.begin() + 1, ids.begin() + right);
    next.push_back(picked.back());
    const at::Tensor ahead_TD = predict(hidden_TD.narrow(0, 0, right), next, cache);
    draft = pick_after(ahead_TD, right - 1, begin + right + 1);
  }
  cache.advance(right);
  return picked;
}

KvCache Generator::cache_for(Ids prompt) const {
  MOESAIC_CHECK(!prompt.empty(), ErrorKind::kData,
                "the prompt has no tokens, and the tokenizer writes none before a text");
  return model_.make_cache(std::ssize(prompt) + options_.max_new_tokens + 1);
}

bool Generator::add(std::uint32_t id, const std::function<bool(std::uint32_t)>& take,
                    Result& result) const {
  const auto& ends = options_.end_ids;
  result.ids.push_back(id);
  model_.meter().add_tokens(1);
  if (std::find(ends.begin(), ends.end(), id) != ends.end() || !take(id)) return false;
  if (std::ssize(result.ids) < options_.max_new_tokens) return true;
  result.finish_reason = "length";
  return false;
}

Generator::Result Generator::lead(Ids prompt, const std::function<bool(std::uint32_t)>& take) {
  KvCache cache = cache_for(prompt);
  Result result;
  model_.meter().begin();
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
    for (std::size_t i = 0; more && i < picked.size(); ++i) more = add(picked[i], take, result);
  }
  result.tokens_s = watch.seconds() - result.prompt_s;
  model_.meter().add_items(1, watch.seconds());
  model_.meter().end();
  return result;
}

std::vector<std::uint32_t> Generator::step_all(std::vector<Text>& texts) {
  BatchBuilder batch;
  std::vector<KvCache*> caches;
  for (Text& text : texts) {
    const std::int64_t last[] = {text.last};
    batch.add(last, {.example = std::ssize(caches),
                     .position = text.cache.length(),
                     .last_is_input = true,
                     .has_targets = false});
    caches.push_back(&text.cache);
  }
  agree(Next::kReadSingle);
  const at::Tensor logits_RV = model_.logits(model_.read_single(context_, batch.build(), caches));
  for (Text& text : texts) text.cache.advance(1);
  std::vector<std::uint32_t> picked(texts.size());
  on_threads(std::ssize(texts), 1, [&](std::int64_t first, std::int64_t last) {
    for (auto i = static_cast<std::size_t>(first); i < static_cast<std::size_t>(last); ++i)
      picked[i] = pick(logits_RV[static_cast<std::int64_t>(i)], texts[i].cache.length());
  });
  return picked;
}

std::vector<Generator::Result> Generator::lead_all(
    std::span<const std::vector<std::uint32_t>> prompts, const TakeOf& take) {
  MOESAIC_ASSERT(!options_.speculate && options_.together > 0);
  std::vector<Result> results(prompts.size());
  std::vector<Text> texts;
  // Takes the next token of a text -> whether it goes on.
  const auto goes_on = [&](Text& text, std::uint32_t id) {
    text.last = id;
    const auto take_this = [&](std::uint32_t taken) { return take(text.prompt, taken); };
    const bool more = add(id, take_this, results[text.prompt]);
    if (!more) model_.meter().add_items(1, text.watch.seconds());
    return more;
  };
  model_.meter().begin();
  for (std::size_t next = 0; next < prompts.size() || !texts.empty();) {
    while (next < prompts.size() && std::ssize(texts) < options_.together) {
      Text text{next, cache_for(prompts[next]), 0};
      std::optional<std::uint32_t> no_draft;
      const Ids unread = read_but_the_last(prompts[next++], text.cache);
      if (goes_on(text, step(unread, no_draft, text.cache).front()))
        texts.push_back(std::move(text));
    }
    if (texts.empty()) continue;
    const std::vector<std::uint32_t> picked = step_all(texts);
    std::vector<Text> going;
    for (std::size_t i = 0; i < texts.size(); ++i) {
      if (goes_on(texts[i], picked[i])) going.push_back(std::move(texts[i]));
    }
    texts = std::move(going);
  }
  model_.meter().end();
  return results;
}

// A rank without a sequence: it has experts that the others ask.
void Generator::follow() {
  at::Tensor nothing;
  for (Next next = agree(Next::kEnd); next != Next::kEnd; next = agree(Next::kEnd)) {
    if (next == Next::kRead)
      nothing = model_.read(context_, empty_batch(), {});
    else if (next == Next::kReadSingle)
      nothing = model_.read_single(context_, empty_batch(), {});
    else
      model_.predict(context_, empty_batch(), nothing, {});
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

std::vector<Generator::Result> Generator::run_all(
    std::span<const std::vector<std::uint32_t>> prompts, const TakeOf& take) {
  if (!context_.is_chief()) {
    follow();
    return {};
  }
  std::vector<Result> results = lead_all(prompts, take);
  agree(Next::kEnd);
  return results;
}

}  // namespace moesaic
