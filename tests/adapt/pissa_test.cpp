// What PiSSA takes out of a weight is the best change of its rank (Eckart and Young 1936).
#include "adapt/pissa.h"

#include <ATen/ops/allclose.h>
#include <ATen/ops/diag_embed.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/linalg_svd.h>
#include <gtest/gtest.h>

#include "adapt/begin.h"
#include "support/tiny_lora.h"

namespace moesaic {
namespace {

LoraOptions pissa(std::int64_t r) {
  LoraOptions lora = test::rank(r, 6);
  lora.init_lora_weights = "pissa";
  return lora;
}

TEST(Pissa, TakesTheLargestSingularValuesOutOfEachMatrix) {
  constexpr std::int64_t kRank = 3;
  const double scale = 2;
  const Recipe recipe = test::lora_recipe(pissa(kRank));
  test::Adapted f(pissa(kRank));
  test::Adapted begun(pissa(kRank));
  begin_adapters(recipe, begun.arch, begun.parameters, RankContext::single());
  for (const char* module :
       {"model.layers.0.self_attn.k_proj", "model.layers.1.mlp.experts.up_proj",
        "model.layers.1.mlp.experts.down_proj"}) {
    const auto whole = f.find(format("{}.weight", module)).tensor;
    const auto rest = begun.find(format("{}.weight", module)).tensor;
    const auto a = begun.find(format("{}.lora_A.weight", module)).tensor;
    const auto b = begun.find(format("{}.lora_B.weight", module)).tensor;
    EXPECT_TRUE(at::allclose(rest.add(b.matmul(a), scale), whole, 1e-12, 1e-13)) << module;
    // What is left has the other singular values, and each factor half of those that are gone.
    const at::Tensor values = std::get<1>(at::linalg_svd(whole, false));
    const at::Tensor left = std::get<1>(at::linalg_svd(rest, false));
    const std::int64_t others = values.size(-1) - kRank;
    EXPECT_TRUE(at::allclose(left.narrow(-1, 0, others), values.narrow(-1, kRank, others), 1e-10))
        << module;
    const at::Tensor gone = at::diag_embed(values.narrow(-1, 0, kRank).div(scale));
    EXPECT_TRUE(at::allclose(a.matmul(a.transpose(-2, -1)), gone, 1e-10, 1e-12)) << module;
    EXPECT_TRUE(at::allclose(b.transpose(-2, -1).matmul(b), gone, 1e-10, 1e-12)) << module;
    EXPECT_TRUE(at::equal(a, begun.find(format("{}.lora_A_start.weight", module)).tensor));
    EXPECT_TRUE(at::equal(b, begun.find(format("{}.lora_B_start.weight", module)).tensor));
  }
}

TEST(Pissa, OfAnExpertDoesNotDependOnTheOthers) {
  test::Adapted f(pissa(2));
  const Parameter& weight = f.find("model.layers.1.mlp.experts.up_proj.weight");
  const auto factors = [&](const ParameterSet& all) {
    return PissaFactors{*all.find(weight.name),
                        *all.find("model.layers.1.mlp.experts.up_proj.lora_A.weight"),
                        *all.find("model.layers.1.mlp.experts.up_proj.lora_B.weight"), 3};
  };
  std::vector<Parameter> one_alone;
  for (const Parameter& parameter : f.parameters) {
    if (parameter.scope != Scope::kExpert) continue;
    Parameter copy = parameter;
    copy.offset = 5;
    copy.tensor = parameter.tensor.narrow(0, 5, 1).clone();
    one_alone.push_back(copy);
  }
  const ParameterSet alone(std::move(one_alone));
  const RankContext context = RankContext::single();
  find_principal_factors({factors(f.parameters)}, context);
  find_principal_factors({factors(alone)}, context);
  EXPECT_TRUE(at::equal(factors(alone).a.tensor[0], factors(f.parameters).a.tensor[5]));
  EXPECT_TRUE(at::equal(factors(alone).b.tensor[0], factors(f.parameters).b.tensor[5]));
}

}  // namespace
}  // namespace moesaic
