// Generator: tokens that a model adds to a prompt, one after the other, with a KV cache.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "engine/inference.h"
#include "engine/sampler.h"

namespace moesaic {

class Generator {
 public:
  struct Options {
    std::int64_t max_new_tokens = 128;
    Sampler::Options sampling;
    std::vector<std::uint32_t> end_ids;  // any of them ends the text
    std::int64_t prompt_tokens = 512;    // of the prompt in one forward pass
  };
  struct Result {
    std::vector<std::uint32_t> ids;      // new ones, that of the end included
    std::string finish_reason = "stop";  // stop | length
    double prompt_s = 0;                 // until the first token
    double tokens_s = 0;                 // for those behind it
  };

  Generator(const RankContext& context, InferenceModel& model, Options options)
      : context_(context), model_(model), options_(std::move(options)) {}

  /// Collective over world. The chief's prompt counts (not empty, ids below vocab_size). The chief
  /// calls `take` with each token but that of the end; false ends the text. The result is the
  /// chief's.
  Result run(std::span<const std::uint32_t> prompt, const std::function<bool(std::uint32_t)>& take);

 private:
  bool agree(bool more) const;
  at::Tensor read(std::span<const std::uint32_t> ids, KvCache& cache);
  Result lead(std::span<const std::uint32_t> prompt,
              const std::function<bool(std::uint32_t)>& take);
  void follow();

  const RankContext& context_;
  InferenceModel& model_;
  Options options_;
};

}  // namespace moesaic
