// Generator: tokens that a model adds to a prompt, or to many at the same time, one after the
// other, with a KV cache for each.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/clock.h"
#include "inference/inference_model.h"
#include "inference/sampler.h"

namespace moesaic {

class Generator {
 public:
  struct Options {
    std::int64_t max_new_tokens = 128;
    Sampler::Options sampling;
    std::vector<std::uint32_t> end_ids;  // any of them ends the text
    std::int64_t prompt_tokens = 512;    // of the prompt in one forward pass
    std::int64_t together = 16;          // texts that run_all makes at a time
    bool speculate = false;  // draft a token with the model's layer for multi-token prediction and
                             // read it with the one before it: the same text in fewer passes
  };
  struct Result {
    std::vector<std::uint32_t> ids;      // new ones, that of the end included
    std::string finish_reason = "stop";  // stop | length
    double prompt_s = 0;                 // until the first token
    double tokens_s = 0;                 // for those after it
    std::int64_t passes = 0;             // of the whole model, for the tokens after the first

    double tokens_per_pass() const {
      return passes > 0 ? static_cast<double>(ids.size() - 1) / static_cast<double>(passes) : 0.0;
    }
  };

  Generator(const RankContext& context, InferenceModel& model, Options options)
      : context_(context),
        model_(model),
        options_(std::move(options)),
        sampler_(options_.sampling) {}

  /// Collective over world. The chief's prompt counts (not empty, ids below vocab_size). The chief
  /// calls `take` with each token but that of the end; false ends the text. The result is the
  /// chief's.
  Result run(std::span<const std::uint32_t> prompt, const std::function<bool(std::uint32_t)>& take);

  /// The same texts as run() makes of each prompt alone, up to `together` of them at a time: where
  /// one ends the next begins. `take` gets the number of the prompt, too. Without drafts, and
  /// without times. Collective over world; prompts and results are the chief's.
  using TakeOf = std::function<bool(std::size_t prompt, std::uint32_t id)>;
  std::vector<Result> run_all(std::span<const std::vector<std::uint32_t>> prompts,
                              const TakeOf& take);

 private:
  /// What all ranks do next.
  enum class Next : std::int64_t { kEnd, kRead, kReadSingle, kPredict };
  using Ids = std::span<const std::uint32_t>;
  /// A text that is being made.
  struct Text {
    std::size_t prompt;
    KvCache cache;
    std::uint32_t last;  // of its ids, not read yet
    Stopwatch watch = {};
  };

  Next agree(Next next) const;
  at::Tensor read(Ids ids, KvCache& cache);
  /// Hidden states for the token after the last of `next`, which follow those of hidden_TD.
  at::Tensor predict(const at::Tensor& hidden_TD, Ids next, KvCache& cache);
  /// All of the prompt but its last part, which stays.
  Ids read_but_the_last(Ids prompt, KvCache& cache);
  Result lead(Ids prompt, const std::function<bool(std::uint32_t)>& take);
  std::vector<Result> lead_all(std::span<const std::vector<std::uint32_t>> prompts,
                               const TakeOf& take);
  KvCache cache_for(Ids prompt) const;
  /// Adds a token to the text; whether it goes on.
  bool add(std::uint32_t id, const std::function<bool(std::uint32_t)>& take, Result& result) const;
  /// The next token of each text.
  std::vector<std::uint32_t> step_all(std::vector<Text>& texts);
  std::uint32_t pick(const at::Tensor& logits_V, std::int64_t position) const {
    return static_cast<std::uint32_t>(sampler_.pick(logits_V, position));
  }
  /// Reads `unread` and the draft after it, if there is one -> the tokens picked after them.
  std::vector<std::uint32_t> step(Ids unread, std::optional<std::uint32_t>& draft, KvCache& cache);
  void follow();

  const RankContext& context_;
  InferenceModel& model_;
  Options options_;
  Sampler sampler_;
};

}  // namespace moesaic
