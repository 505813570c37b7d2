// A model whose blocks run again in backward against one that keeps everything: loss and gradients
// are equal to the bit, in every layout.
#include <ATen/ops/equal.h>
#include <gtest/gtest.h>

#include <string>

#include "support/mpi_test.h"
#include "support/tiny_model.h"

namespace moesaic {
namespace {

using test::TinyRun;

arch::Options tiny_of(const Json& more) {
  Json config = {{"vocab_size", 31},         {"hidden_size", 16},
                 {"intermediate_size", 24},  {"num_hidden_layers", 3},
                 {"num_attention_heads", 4}, {"num_key_value_heads", 4},
                 {"initializer_range", 0.3}, {"max_position_embeddings", 64}};
  config.update(more);
  return arch::require_options(config, "tiny");
}

arch::Options tiny_dense() { return tiny_of({{"model_type", "llama"}}); }

arch::Options tiny_latent() {
  return tiny_of({{"model_type", "deepseek_v3"},
                  {"kv_lora_rank", 6},
                  {"q_lora_rank", 5},
                  {"qk_nope_head_dim", 4},
                  {"qk_rope_head_dim", 2},
                  {"v_head_dim", 3},
                  {"n_routed_experts", 12},
                  {"moe_intermediate_size", 6},
                  {"num_experts_per_tok", 2},
                  {"n_group", 2},
                  {"topk_group", 1},
                  {"num_nextn_predict_layers", 0},
                  {"first_k_dense_replace", 1}});
}

// Uneven micro-batches; with three ranks or more the last one has none.
Batch mine(const RankContext& context) {
  const int ranks = context.world.size();
  const bool idle = ranks >= 3 && context.rank() == ranks - 1;
  return idle ? empty_batch() : test::batch_of({3 + context.rank(), 2}, 31, 100 * context.rank());
}

void check(const arch::Options& arch, int expert) {
  const Communicator world = test::world();
  const RankContext context =
      RankContext::make(world, Plan::make(world.size(), expert, arch.num_experts), Log());
  const StepSize size{40, 40, world.size()};
  TinyRun kept(context, arch, mine(context), size);
  TinyRun again(context, arch, mine(context), size, recompute_activations);
  for (int step = 0; step < 2; ++step) {
    EXPECT_EQ(kept.loss(true), again.loss(true));
    for (const Parameter& p : kept.parameters) {
      if (!p.trainable) continue;
      const at::Tensor gradient = kept.gradient(p);
      EXPECT_TRUE(at::equal(gradient, again.gradient(p))) << p.name;
      EXPECT_EQ(gradient.isfinite().all().item<bool>(), true) << p.name;
    }
  }
  EXPECT_GT(kept.sink.gradients().entries.back().gradient.abs().max().item<double>(), 0);
}

TEST(Recompute, OfADenseModelGivesTheSameBits) { check(tiny_dense(), 1); }

TEST(Recompute, OfReplicatedExpertsGivesTheSameBits) { check(test::tiny_olmoe(), 1); }

TEST(Recompute, OfExpertsSpreadOverAllRanksGivesTheSameBits) {
  check(test::tiny_olmoe(), test::world().size());
}

TEST(Recompute, OfLatentAttentionGivesTheSameBits) { check(tiny_latent(), test::world().size()); }

// The second run takes the choice of the first: a router that has changed in between must not move
// the tokens elsewhere.
TEST(Recompute, KeepsTheChoiceOfTheFirstRun) {
  const Communicator world = test::world();
  const arch::Options arch = test::tiny_olmoe();
  const RankContext context = RankContext::make(world, Plan::make(world.size(), 1, 12), Log());
  const ParameterSet parameters = test::parameters_of(arch, context);
  const Transformer model({.arch = arch}, parameters, context);
  test::Fixture f;
  f.batch = test::batch_of({6}, 31);
  const auto chosen = [&] { return model.forward(f.context).routers.at(0).selected_TK; };
  const at::Tensor first = chosen();
  const Parameter* gate = parameters.find("model.layers.0.mlp.gate.weight");
  ASSERT_NE(gate, nullptr);
  gate->tensor.neg_();
  EXPECT_FALSE(at::equal(chosen(), first));
  f.context.chosen_TK = first;
  EXPECT_TRUE(at::equal(chosen(), first));
}

}  // namespace
}  // namespace moesaic
