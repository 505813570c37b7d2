#include "arch/activations.h"

#include <gtest/gtest.h>

#include "arch/cost.h"

namespace moesaic::arch {
namespace {

Options tiny(const Json& more) {
  Json config = {{"vocab_size", 10},
                 {"hidden_size", 8},
                 {"intermediate_size", 6},
                 {"num_hidden_layers", 3},
                 {"num_attention_heads", 2},
                 {"num_key_value_heads", 2},
                 {"max_position_embeddings", 64}};
  config.update(more);
  return require_options(config, "test");
}
Options tiny_llama() { return tiny({{"model_type", "llama"}}); }
Options tiny_olmoe() {
  return tiny({{"model_type", "olmoe"}, {"num_experts", 4}, {"num_experts_per_tok", 2}});
}

double sum(const std::vector<Kept>& rows) {
  double total = 0;
  for (const Kept& row : rows) total += row.bytes;
  return total;
}

TEST(Activations, OfADenseLayerByHand) {
  // Values of 4 bytes: input and its rms 8 + 1, its norm 8, q k v 24, attention 8, log sum exp 2.
  EXPECT_EQ(sum(kept_by_attention(tiny_llama(), {})), 4.0 * (9 + 8 + 24 + 8 + 2));
  // The sum with the residual and its rms 8 + 1, its norm 8, gate, up and their product 18.
  EXPECT_EQ(sum(kept_by_network(tiny_llama(), {}, 0)), 4.0 * (9 + 8 + 18));
}

TEST(Activations, OfALayerWithExpertsByHand) {
  // As the dense layer; norms of queries and keys keep 16 more, and 2 of 1 / rms.
  EXPECT_EQ(sum(kept_by_attention(tiny_olmoe(), {})), 4.0 * (9 + 8 + 16 + 2 + 24 + 8 + 2));
  // Norm 9 + 8; router 2 x 4 values and 2 indices; two gate weights twice; 4 indices for each of 2
  // rows; and in each row its input 8, gate, up and their product 18.
  EXPECT_EQ(sum(kept_by_network(tiny_olmoe(), {}, 0)),
            4.0 * (17 + 8 + 4 + 2 * (8 + 18)) + 8.0 * (2 + 8));
}

// Beside layer 1's q_proj alone, of rank 2.
ParameterTable one_adapter(const Options& o) {
  ParameterTable table;
  for (ParameterInfo& info : parameter_table(o)) {
    info.trainable = false;
    table.push_back(info);
    if (info.name != "model.layers.1.self_attn.q_proj.weight") continue;
    ParameterInfo a = info, b = info;
    a.name = "model.layers.1.self_attn.q_proj.lora_A.weight";
    b.name = "model.layers.1.self_attn.q_proj.lora_B.weight";
    a.shape = {2, 8}, b.shape = {8, 2};
    a.trainable = b.trainable = a.adapter = b.adapter = true;
    table.push_back(a);
    table.push_back(b);
  }
  return table;
}

TEST(Activations, OfFrozenLayersAreWhatReachesTheAdapters) {
  const Options o = tiny_llama();
  const std::vector<LayerTraining> layers = training_of_layers(o, one_adapter(o));
  ASSERT_EQ(layers.size(), 3U);
  EXPECT_EQ(sum(kept_by_attention(o, {}, layers[0])) + sum(kept_by_network(o, {}, 0, layers[0])),
            0);
  // The norm's result 8 and 2 values of the first factor; q k v 24, attention 8, log sum exp 2.
  EXPECT_EQ(sum(kept_by_attention(o, {}, layers[1])), 4.0 * (8 + 2 + 24 + 8 + 2));
  // The stream and its rms 9, gate and up 12.
  EXPECT_EQ(sum(kept_by_network(o, {}, 1, layers[1])), 4.0 * (9 + 12));
  EXPECT_EQ(sum(kept_by_attention(o, {}, layers[2])), 4.0 * (9 + 24 + 8 + 2));
  EXPECT_EQ(sum(kept_by_network(o, {}, 2, layers[2])), 4.0 * (9 + 12));
  EXPECT_LT(activation_peak(o, {.tokens = 1000}, layers), activation_peak(o, {.tokens = 1000}));
}

TEST(Activations, OfATableThatTrainsAllAreThoseOfNoTable) {
  for (const Options& o : {tiny_llama(), tiny_olmoe()}) {
    EXPECT_EQ(activation_peak(o, {.tokens = 100}, training_of_layers(o, parameter_table(o))),
              activation_peak(o, {.tokens = 100}));
  }
}

TEST(Activations, OfProductsAreHalvedInBfloat16) {
  const ActivationOptions bfloat16{.compute_bytes = 2};
  EXPECT_EQ(sum(kept_by_attention(tiny_llama(), bfloat16)), 4.0 * (9 + 2) + 2.0 * (8 + 24 + 8));
}

// The difference is what two of three layers keep beside their inputs.
TEST(Activations, RecomputedAreThoseOfOneLayerAndTheInputsOfAll) {
  const Options o =
      tiny({{"model_type", "llama"}, {"intermediate_size", 24}});  // SwiGLU needs most
  const double tokens = 1000;
  const double kept = sum(kept_by_attention(o, {})) + sum(kept_by_network(o, {}, 0));
  const double all = activation_peak(o, {.tokens = tokens});
  const double again = activation_peak(o, {.tokens = tokens, .recomputed = true});
  EXPECT_EQ(all - again, 2 * tokens * (kept - 4.0 * 8));
}

TEST(Activations, AreLinearInTokensButForTheLogits) {
  const Options o = tiny_olmoe();
  const auto peak = [&](double tokens) { return activation_peak(o, {.tokens = tokens}); };
  EXPECT_DOUBLE_EQ(peak(2000), 2 * peak(1000));
}

// With a vocabulary that is large beside the layers, the losses need most, and the block of logits
// is bounded.
TEST(Activations, OfTheLossesHoldABoundedBlockOfLogits) {
  const Options o = tiny({{"model_type", "llama"}, {"vocab_size", 1 << 20}});
  const double layers = 3.0 * (sum(kept_by_attention(o, {})) + sum(kept_by_network(o, {}, 0)));
  const double tokens = 300, common = 4.0 * 4 + 4 * 8;
  EXPECT_EQ(activation_peak(o, {.tokens = tokens}),
            tokens * (layers + common + 4.0 * 3 * 8) + 256.0 * 4 * (1 << 20));
}

}  // namespace
}  // namespace moesaic::arch
