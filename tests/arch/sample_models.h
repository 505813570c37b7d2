// Architectures for tests of costs: a tiny one whose parameters are counted by hand, and well-known
// ones by the keys of their config.json.
#pragma once

#include "arch/device.h"
#include "arch/parameter_table.h"

namespace moesaic::arch::sample {

inline Options tiny_olmoe() {
  return require_options({{"model_type", "olmoe"},
                          {"vocab_size", 10},
                          {"hidden_size", 8},
                          {"intermediate_size", 6},
                          {"num_hidden_layers", 2},
                          {"num_attention_heads", 4},
                          {"num_key_value_heads", 2},
                          {"num_experts", 4},
                          {"num_experts_per_tok", 2}},
                         "test");
}

// By hand: attention 8*8 + 2*4*8 + 8*8 = 192; norms 8 + 8 + 8 + 4 = 28; router 32; one expert 3*48
// = 144.
constexpr std::int64_t kDense = 2 * (192 + 28 + 32) + 8 + 2 * 80;
constexpr std::int64_t kExperts = 2 * 4 * 144;

inline Options llama_7b() {
  return require_options({{"model_type", "llama"},
                          {"vocab_size", 32000},
                          {"hidden_size", 4096},
                          {"intermediate_size", 11008},
                          {"num_hidden_layers", 32},
                          {"num_attention_heads", 32}},
                         "llama-7b");
}

inline Options olmoe_1b_7b() {
  return require_options({{"model_type", "olmoe"},
                          {"vocab_size", 50304},
                          {"hidden_size", 2048},
                          {"intermediate_size", 1024},
                          {"num_hidden_layers", 16},
                          {"num_attention_heads", 16},
                          {"num_experts", 64},
                          {"num_experts_per_tok", 8}},
                         "olmoe-1b-7b");
}

inline Options mixtral_8x7b() {
  return require_options({{"model_type", "mixtral"},
                          {"vocab_size", 32000},
                          {"hidden_size", 4096},
                          {"intermediate_size", 14336},
                          {"num_hidden_layers", 32},
                          {"num_attention_heads", 32},
                          {"num_key_value_heads", 8},
                          {"num_local_experts", 8},
                          {"num_experts_per_tok", 2}},
                         "mixtral-8x7b");
}

inline Options deepseek_v3() {
  Options options = require_options({{"model_type", "deepseek_v3"},
                                     {"vocab_size", 129280},
                                     {"hidden_size", 7168},
                                     {"intermediate_size", 18432},
                                     {"moe_intermediate_size", 2048},
                                     {"num_hidden_layers", 61},
                                     {"num_attention_heads", 128},
                                     {"num_key_value_heads", 128},
                                     {"n_routed_experts", 256},
                                     {"num_experts_per_tok", 8},
                                     {"n_shared_experts", 1},
                                     {"first_k_dense_replace", 3},
                                     {"n_group", 8},
                                     {"topk_group", 4},
                                     {"q_lora_rank", 1536},
                                     {"kv_lora_rank", 512},
                                     {"qk_nope_head_dim", 128},
                                     {"qk_rope_head_dim", 64},
                                     {"v_head_dim", 128}},
                                    "deepseek-v3");
  options.num_nextn_predict_layers = 0;
  return options;
}

/// 1 FLOP and 1 byte a second, and so on; nothing lost.
inline Device slow_device() {
  return {.name = "slow",
          .memory_gb = 1,
          .float32_tflops = 1e-12,
          .memory_gb_per_s = 1e-9,
          .node_gb_per_s = 1e-9,
          .network_gb_per_s = 1e-9,
          .usable_memory = 1,
          .product_efficiency = 1,
          .memory_efficiency = 1,
          .link_efficiency = 1};
}

}  // namespace moesaic::arch::sample
