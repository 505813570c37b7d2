// What it takes to write text with a model: memory of a rank, and the time of a token, of one
// sequence with its KV cache.
#pragma once

#include "arch/step_time.h"

namespace moesaic::arch {

struct GenerationSizes {
  std::int64_t ranks = 1;            // the experts are divided over all of them
  std::int64_t sequence_length = 1;  // tokens in the cache
  std::int64_t prompt_tokens = 512;  // of the prompt in one forward pass
  std::int64_t weight_bytes = 2;     // of a value in the file: the weights are kept as they are
  std::int64_t compute_bytes = 2;
};

/// Bytes of the keys and values of `tokens` tokens; latent attention keeps the latents alone.
double cache_bytes(const Options& options, std::int64_t tokens, std::int64_t value_bytes);

/// parameter_bytes, activation_bytes (cache and a part of the prompt) and process_bytes of a rank.
/// `table`: that of the model, nothing added. `ranks` divides num_experts, or is 1.
Cost generation_cost(const Options& options, const ParameterTable& table,
                     const GenerationSizes& sizes);

/// Of one token after `sequence_length` others: the weights that it meets are read once, and the
/// cache; its experts, on different ranks, at the same time; their rows go there and back.
StepTime token_time(const Options& options, const ParameterTable& table,
                    const GenerationSizes& sizes, const Device& device);

}  // namespace moesaic::arch
