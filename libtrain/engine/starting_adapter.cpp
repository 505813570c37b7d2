#include "engine/starting_adapter.h"

#include <cmath>
#include <map>

#include "config/lora_targets.h"
#include "config/name_pattern.h"
#include "config/recipe_reader.h"
#include "config/silos.h"
#include "store/adapter_checkpoint.h"
#include "store/agreement.h"
#include "store/checkpoint_rows.h"
#include "store/differences.h"
#include "store/peft_config.h"
#include "store/peft_reader.h"

namespace moesaic {
namespace {

constexpr const char* kOtherAdapter = "leave out of adapt.lora what the adapter says by itself";

void require_scales(const Adapter& adapter, const LoraOptions& lora, const arch::Options& arch,
                    const std::string& path) {
  for (const LoraTarget& target : lora_targets(lora, arch, arch::parameter_table(arch))) {
    const auto pair = adapter.pairs.find(target.weight);
    if (pair == adapter.pairs.end()) continue;  // said to be missing
    if (std::abs(pair->second.scale - target.scale) <= 1e-9 * std::abs(target.scale)) continue;
    throw Error(ErrorKind::kRecipe,
                format("{} changes {} with the scale {}, and adapt.lora says {}", path,
                       target.weight, pair->second.scale, target.scale),
                kOtherAdapter);
  }
}

void require_same_base(const AdapterBase& its, const Json& here, const std::string& path) {
  if (its.digest == here.at("digest")) return;
  throw Error(ErrorKind::kData,
              format("the adapters in {} belong to other weights than those of model.from: their "
                     "base was at {}, with the digest {} (here {})",
                     path, its.path, its.digest, here.at("digest").get<std::string>()),
              "start from that base, or export the adapters as a PEFT folder");
}

// What adapt.train adds may begin from the model's own weights.
bool must_be_there(const Parameter& parameter, ModuleMatcher& saved) {
  return parameter.adapter || saved.matches(module_of(parameter.name));
}

void take_peft_values(std::map<std::string, at::Tensor> values, const LoraOptions& lora,
                      const std::string& path, const ParameterSet& parameters) {
  ModuleMatcher saved("adapt.lora.modules_to_save", lora.modules_to_save);
  Differences differences("the adapter");
  for (const Parameter& parameter : parameters) {
    if (!parameter.adapter && !parameter.trainable) continue;
    const auto found = values.find(parameter.name);
    if (found == values.end()) {
      if (must_be_there(parameter, saved)) differences.missing(parameter.name);
      continue;
    }
    const at::Tensor whole = found->second;
    values.erase(found);
    if (whole.sizes() == at::IntArrayRef(parameter.shape)) {
      parameter.tensor.copy_(whole.narrow(0, parameter.offset, parameter.tensor.size(0)));
    } else {
      differences.differs(format("{} has shape [{}] (here [{}])", parameter.name,
                                 join(whole.sizes(), ", "), join(parameter.shape, ", ")));
    }
  }
  for (const auto& [name, value] : values) differences.unexpected(name);
  differences.require_none(format("{}/{} does not hold what adapt trains", path, kPeftWeightsFile),
                           kOtherAdapter);
}

// Such a run has a base of its own, to which nothing else belongs.
void require_frozen_base(const CheckpointInfo& info) {
  const Json training = info.manifest.value("training", Json());
  const bool has_recipe = training.is_object() && training.contains("recipe");
  if (!has_recipe ||
      !moves_base(recipe_from_yaml(training.at("recipe").get<std::string>(), info.path)))
    return;
  throw Error(
      ErrorKind::kRecipe,
      format("the rounds of {} have changed the weights under its adapters (aggregator.lora "
             "stacking or residual)",
             info.path),
      "start from it as a model: model.from");
}

bool is_of_adapter(const Parameter& parameter) { return parameter.trainable || parameter.adapter; }

void take_run_values(const CheckpointInfo& info, const ParameterSet& parameters) {
  require_frozen_base(info);
  arch::ParameterTable table;
  for (const Parameter& parameter : parameters)
    if (is_of_adapter(parameter)) table.push_back(parameter);
  const CheckpointRows saved(info);
  Differences differences("the checkpoint");
  saved.compare(table, differences);
  differences.require_none(format("{} does not hold what adapt trains", info.path), kOtherAdapter);
  for (const Parameter& parameter : parameters) {
    if (!is_of_adapter(parameter)) continue;
    parameter.tensor.copy_(saved.rows(parameter.name, parameter.offset, parameter.tensor.size(0)));
  }
}

}  // namespace

void load_starting_adapter(const Recipe& recipe, const arch::Options& arch, const Json& base,
                           const ParameterSet& parameters, const RankContext& context) {
  if (!recipe.adapt || !recipe.adapt->from || !recipe.adapt->lora) return;
  const std::string& path = *recipe.adapt->from;
  const LoraOptions& lora = *recipe.adapt->lora;
  const std::string kind = context.is_chief() && is_peft_folder(path) ? "PEFT" : "run";
  std::optional<CheckpointInfo> run;
  if (context.world.broadcast(kind, 0, "adapt.from: kind") == "run")
    run = CheckpointStore::open(context, path);
  agreed(context.world, "adapt.from", [&] {
    if (run) {
      require_same_base(AdapterBase::of(*run), base, run->path);
      return take_run_values(*run, parameters);
    }
    const Adapter adapter = read_peft_folder(path, arch);
    require_scales(adapter, lora, arch, path);
    take_peft_values(named_values(adapter), lora, path, parameters);
  });
  context.log.info("adapters  from {}", run ? run->path : path);
}

}  // namespace moesaic
