// A small model with random weights, opened as a user's is.
#pragma once

#include <ATen/ops/randn.h>

#include <string>

#include "inference/inference_model.h"
#include "support/sample_hub.h"
#include "support/temporary_folder.h"

namespace moesaic::test {

/// Written into `folder` under the name of its family, with weights large enough that different
/// ids have very different probabilities.
inline InferenceModel random_model(const RankContext& context,
                                   const testing::TemporaryFolder& folder, const Json& config,
                                   const std::string& precision) {
  const std::string path = folder.path() + "/" + config["model_type"].get<std::string>();
  HubTensors tensors = sample_hub_tensors(config);
  for (auto& [name, values] : tensors) values = at::randn(values.sizes()).mul(0.3);
  write_hub_folder(path, config, tensors);
  return InferenceModel(context, {.path = path, .precision = precision, .many_passes = true});
}

/// Latent attention, groups of experts.
inline Json sample_latent_config() {
  Json config = sample_dense_config();
  config.update({{"model_type", "deepseek_v3"},
                 {"tie_word_embeddings", false},
                 {"num_key_value_heads", 4},
                 {"kv_lora_rank", 6},
                 {"q_lora_rank", 5},
                 {"qk_nope_head_dim", 4},
                 {"qk_rope_head_dim", 2},
                 {"v_head_dim", 3},
                 {"n_routed_experts", 4},
                 {"moe_intermediate_size", 6},
                 {"num_experts_per_tok", 2},
                 {"n_group", 2},
                 {"topk_group", 1},
                 {"num_nextn_predict_layers", 0},
                 {"first_k_dense_replace", 1}});
  return config;
}

}  // namespace moesaic::test
