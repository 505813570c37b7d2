#include "engine/starting_weights.h"

#include "core/error.h"
#include "store/adapted_source.h"
#include "store/adapter_checkpoint.h"
#include "store/upcycled_source.h"

namespace moesaic {
namespace {

// Parameters of `arch` that a model as `weights` says does not have: layers for multi-token
// prediction, correction biases.
std::set<std::string> lacking(const arch::Options& arch, const arch::Options& weights) {
  std::set<std::string> names;
  for (const arch::ParameterInfo& info : arch::parameter_table(arch)) names.insert(info.name);
  for (const arch::ParameterInfo& info : arch::parameter_table(weights)) names.erase(info.name);
  return names;
}

std::unique_ptr<ModelSource> open_source(const Recipe& recipe, const RankContext& context) {
  return upcycled(ModelSource::open(context, *recipe.model.from), recipe.model.upcycle,
                  recipe.seed);
}

}  // namespace

StartingWeights::StartingWeights(const Recipe& recipe, const arch::Options& arch,
                                 const RankContext& context) {
  if (!recipe.model.from) return;
  source_ = open_source(recipe, context);
  anew_ = lacking(arch, source_->arch());
  if (!recipe.adapt || !recipe.adapt->lora) return;
  base_ = AdapterBase{source_->path(), source_->digest(context)}.to_json();
  if (!anew_.empty()) {
    throw Error(ErrorKind::kRecipe,
                format("model.from has no weights for {} of the model's parameters, {} among them, "
                       "and under adapt.lora none begins anew",
                       anew_.size(), *anew_.begin()),
                "leave them out of model.config, or train such a model first, without adapt.lora");
  }
}

std::string StartingWeights::digest(const Recipe& recipe, const RankContext& context) const {
  if (!source_) return {};
  if (recipe.adapt && recipe.adapt->lora && recipe.adapt->from)
    return adapted(context, open_source(recipe, context), *recipe.adapt->from)->digest(context);
  return base_.is_null() ? source_->digest(context) : base_.at("digest").get<std::string>();
}

HubOrigin StartingWeights::load(const ParameterSet& parameters, const RankContext& context) const {
  if (!source_) return {};
  StateDict state = state_of(parameters);
  std::erase_if(state, [&](const StateEntry& entry) {
    return anew_.contains(entry.name) || parameters.find(entry.name)->adapter;
  });
  if (!anew_.empty()) {
    context.log.warn(
        "{} has no weights for {} of the model's parameters, {} among them: they begin "
        "anew",
        source_->path(), anew_.size(), *anew_.begin());
  }
  source_->load(context, state, {});
  HubOrigin origin = source_->origin(context);
  context.log.info("weights from {}", source_->path());
  return origin;
}

}  // namespace moesaic
