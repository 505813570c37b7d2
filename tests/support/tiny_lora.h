// Adapters beside a tiny model, with a B that is not zero, so that A has a gradient, too.
#pragma once

#include "adapt/lora.h"
#include "config/training_table.h"
#include "support/tiny_model.h"

namespace moesaic::test {

inline Recipe lora_recipe(const LoraOptions& lora) {
  Recipe recipe;
  recipe.seed = 7;
  recipe.model.from = "somewhere";
  recipe.adapt.emplace().lora = lora;
  return recipe;
}

inline TinyAdapters tiny_lora(const LoraOptions& lora, const arch::Options& arch) {
  const Recipe recipe = lora_recipe(lora);
  TinyAdapters adapters{training_table(recipe, arch), [recipe, arch](const ParameterSet& all) {
                          return make_lora(recipe, arch, all);
                        }};
  for (arch::ParameterInfo& info : adapters.table) {
    if (!info.adapter || info.init != arch::Init::kZeros) continue;
    info.init = arch::Init::kNormal;
    info.init_std = 0.2;
  }
  return adapters;
}

/// Such parameters on one rank, and what stands beside single maps of them.
struct Adapted {
  arch::Options arch = tiny_olmoe();
  TinyAdapters made;
  ParameterSet parameters;
  std::unique_ptr<AdapterFactory> factory;
  Fixture fixture;

  explicit Adapted(const LoraOptions& lora)
      : made(tiny_lora(lora, arch)),
        parameters(parameters_of(made.table, RankContext::single())),
        factory(made.make(parameters)) {}

  const Parameter& find(const std::string& name) const { return *parameters.find(name); }
  at::Tensor gradient(const std::string& name) {
    return fixture.sink.gradients.at(find(name).index);
  }
};

inline LoraOptions rank(std::int64_t r, double alpha) {
  LoraOptions lora;
  lora.r = r;
  lora.lora_alpha = alpha;
  return lora;
}

}  // namespace moesaic::test
