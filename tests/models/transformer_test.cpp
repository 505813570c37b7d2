#include "models/transformer.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/allclose.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <string>

#include "core/error.h"
#include "support/tiny_model.h"

namespace moesaic {
namespace {

using test::TinyRun;

Json tiny(const char* type, bool tied) {
  return {{"model_type", type},       {"vocab_size", 31},           {"hidden_size", 16},
          {"intermediate_size", 24},  {"num_hidden_layers", 2},     {"num_attention_heads", 4},
          {"num_key_value_heads", 2}, {"tie_word_embeddings", tied}};
}

// With experts in the second layer, where the family has them.
Json tiny_of(const std::string& type, bool tied) {
  Json config = tiny(type.c_str(), tied);
  const auto set = [&config](const Json& keys) { config.update(keys); };
  if (type == "mixtral") set({{"num_local_experts", 4}});
  if (type.starts_with("qwen") && type.ends_with("moe"))
    set({{"num_experts", 4}, {"moe_intermediate_size", 6}, {"mlp_only_layers", {0}}});
  if (type == "qwen2_moe") set({{"shared_expert_intermediate_size", 8}});
  if (type.ends_with("moe")) set({{"num_experts_per_tok", 2}});
  if (!type.starts_with("deepseek")) return config;
  set({{"num_key_value_heads", 4},
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
       {"first_k_dense_replace", 1}});
  return config;
}

std::vector<std::string> transformers() {
  std::vector<std::string> types = arch::model_types();
  std::erase(types, "mlp");
  return types;
}

TEST(Transformer, HasExactlyTheParametersOfItsTable) {
  const RankContext context = RankContext::single();
  for (const std::string& type : transformers()) {
    for (const bool tied : {false, true}) {
      const auto arch = arch::require_options(tiny_of(type, tied), "test");
      const ParameterSet parameters = test::parameters_of(arch, context);
      const Transformer model({.arch = arch}, parameters,
                              context);  // refuses one that it leaves out
      for (const Parameter& parameter : parameters)
        EXPECT_EQ(parameter.tensor.sizes().vec(), parameter.shape) << parameter.name;
      EXPECT_EQ(parameters.find("lm_head.weight") == nullptr, tied);
      EXPECT_EQ(model.head().weight().name, tied ? "model.embed_tokens.weight" : "lm_head.weight");
      auto more = arch::parameter_table(arch);
      more.push_back({.name = "model.extra.weight", .shape = {2}});
      const ParameterSet extra(more, {});
      EXPECT_THROW(Transformer({.arch = arch}, extra, context), Error);
      more.erase(more.end() - 2);
      EXPECT_THROW(Transformer({.arch = arch}, ParameterSet(more, {}), context), Error);
    }
  }
}

// Also of latent attention, shared experts and every gate.
TEST(Transformer, GradientOfEveryFamilyEqualsFiniteDifferences) {
  const RankContext context = RankContext::single();
  for (const std::string& type : transformers()) {
    Json config = tiny_of(type, false);
    config["initializer_range"] = 0.3;
    TinyRun run(context, arch::require_options(config, "test"), test::batch_of({5, 3}, 31),
                {8, 8, 1});
    run.loss(true);
    std::map<std::string, at::Tensor> gradients;
    for (const Parameter& parameter : run.parameters) {
      if (parameter.trainable)
        gradients[parameter.name] = run.gradient(parameter).clone().flatten();
    }
    for (const Parameter& parameter : run.parameters) {
      if (!parameter.trainable) continue;
      const at::Tensor& gradient = gradients.at(parameter.name);
      double* value = parameter.tensor.mutable_data_ptr<double>();
      for (const std::int64_t i : {std::int64_t{0}, parameter.numel() / 2, parameter.numel() - 1}) {
        value[i] += 1e-5;
        const double above = run.loss(false);
        value[i] -= 2e-5;
        const double below = run.loss(false);
        value[i] += 1e-5;
        const double numeric = (above - below) / 2e-5;
        EXPECT_NEAR(gradient[i].item<double>(), numeric, 2e-7 + 1e-5 * std::abs(numeric))
            << type << " " << parameter.name << " element " << i;
      }
    }
  }
}

// A tied head is used twice: its gradient must be the sum of both uses.
TEST(Transformer, GradientOfATiedHeadEqualsFiniteDifferences) {
  const RankContext context = RankContext::single();
  const auto arch = arch::require_options(tiny("llama", true), "test");
  TinyRun run(context, arch, test::batch_of({5, 3}, 31), {8, 8, 1});
  run.loss(true);
  const Parameter* embedding = run.find("model.embed_tokens.weight");
  const at::Tensor gradient = run.gradient(*embedding).clone();
  double* weight = embedding->tensor.mutable_data_ptr<double>();
  for (const std::int64_t element : {0, 77, 200, 399}) {
    weight[element] += 1e-5;
    const double above = run.loss(false);
    weight[element] -= 2e-5;
    const double below = run.loss(false);
    weight[element] += 1e-5;
    EXPECT_NEAR(gradient.flatten()[element].item<double>(), (above - below) / 2e-5, 1e-8);
  }
}

TEST(Transformer, ATokenSeesNothingOfWhatFollowsIt) {
  const RankContext context = RankContext::single();
  const ParameterSet parameters = test::parameters_of(test::tiny_olmoe(), context, 1);
  const Transformer model({.arch = test::tiny_olmoe()}, parameters, context);
  const at::NoGradGuard no_gradients;
  const auto hidden = [&](std::int64_t last_id) {
    test::Fixture f;
    f.batch = test::batch_of({6}, 31);
    f.batch.ids_T[5] = last_id;
    return model.forward(f.context).hidden_TD;
  };
  // (Not to the bit: the rows of an expert are multiplied together.)
  EXPECT_TRUE(at::allclose(hidden(1).narrow(0, 0, 5), hidden(2).narrow(0, 0, 5), 1e-12, 1e-12));
  EXPECT_GT(hidden(1)[5].sub(hidden(2)[5]).abs().max().item<double>(), 1e-3);
}

// The second document of an example, apart from the first and together with it.
TEST(Transformer, ADocumentSeesAnotherOneOfItsExampleOnlyWhereTheyShareASpan) {
  const RankContext context = RankContext::single();
  const ParameterSet parameters = test::parameters_of(test::tiny_olmoe(), context, 1);
  const Transformer model({.arch = test::tiny_olmoe()}, parameters, context);
  const at::NoGradGuard no_gradients;
  const std::vector<std::int64_t> first = test::some_ids(0, 5, 31), second = {3, 1, 4, 1, 5};
  const auto hidden = [&](bool after_another, bool together) {
    BatchBuilder batch;
    if (after_another) batch.add(first, {.example = 0});
    batch.add(second, {.example = 0, .joins_previous = together});
    test::Fixture f;
    f.batch = batch.build();
    return model.forward(f.context).hidden_TD.narrow(0, after_another ? 4 : 0, 4);
  };
  const at::Tensor alone = hidden(false, false);
  EXPECT_TRUE(at::allclose(hidden(true, false), alone, 1e-12, 1e-12));
  EXPECT_GT(hidden(true, true).sub(alone).abs().max().item<double>(), 1e-3);
}

// float32 and bfloat16 follow float64 as far as their digits go.
TEST(Transformer, LowerPrecisionsFollowFloat64) {
  const RankContext context = RankContext::single();
  const at::NoGradGuard no_gradients;
  const auto hidden = [&](const char* name) {
    const Precision precision = Precision::named(name);
    const ParameterSet parameters =
        test::parameters_of(test::tiny_olmoe(), context, 1, precision.master);
    const Transformer model({.arch = test::tiny_olmoe()}, parameters, context);
    Computation computation{
        .precision = precision, .matmul = MatmulKernel::kOneDnn, .world = context.world};
    const Batch batch = test::batch_of({6, 6}, 31);
    return model.forward(computation.forward(batch)).hidden_TD.to(at::kDouble);
  };
  const at::Tensor exact = hidden("float64");
  EXPECT_LT(hidden("float32").sub(exact).abs().max().item<double>(), 1e-4);
  EXPECT_LT(hidden("bfloat16").sub(exact).abs().mean().item<double>(), 5e-2);
}

}  // namespace
}  // namespace moesaic
