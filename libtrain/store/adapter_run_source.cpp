#include "store/adapter_run_source.h"

#include <ATen/ops/cat.h>

#include <functional>
#include <utility>

#include "config/lora_targets.h"
#include "config/model_config.h"
#include "config/recipe_reader.h"
#include "config/training_table.h"
#include "core/digest.h"
#include "core/path.h"
#include "store/agreement.h"
#include "store/manifest.h"
#include "store/upcycled_source.h"

namespace moesaic {
namespace {

constexpr const char* kBase = "base";

// That of the checkpoint, with the layers for multi-token prediction that the base has: training
// left them as they are.
Json merged_config(const CheckpointInfo& info, const ModelSource& base) {
  Json config = read_config_file(info.path + "/" + kConfigFile, ErrorKind::kCheckpoint);
  const std::int64_t layers = base.arch().num_nextn_predict_layers;
  if (layers > 0) config["num_nextn_predict_layers"] = layers;
  return config;
}

std::string text_in(const CheckpointInfo& info, const Json& object, const char* key) {
  const bool known = object.is_object() && object.contains(key) && object.at(key).is_string();
  MOESAIC_CHECK(known, ErrorKind::kCheckpoint, "{}: the manifest has no text '{}'", info.path, key);
  return object.at(key).get<std::string>();
}

Recipe recipe_of(const CheckpointInfo& info) {
  const Json training = info.manifest.value("training", Json());
  return recipe_from_yaml(text_in(info, training, "recipe"), info.path);
}

// What the checkpoint holds, which must be what its recipe trains.
arch::ParameterTable saved_table(const CheckpointInfo& info, const Recipe& recipe,
                                 const CheckpointRows& saved) {
  arch::ParameterTable table;
  for (arch::ParameterInfo& row : training_table(recipe, architecture_of(recipe)))
    if (is_saved(recipe, row)) table.push_back(std::move(row));
  Differences differences("the checkpoint");
  saved.compare(table, differences);
  differences.require_none(format("{} does not hold what its recipe trains", info.path),
                           "take another checkpoint");
  return table;
}

std::vector<LoraTarget> targets_of(const Recipe& recipe) {
  if (!recipe.adapt || !recipe.adapt->lora) return {};
  const arch::Options arch = architecture_of(recipe);
  return lora_targets(*recipe.adapt->lora, arch, arch::parameter_table(arch));
}

// The pair of a target, of the parts that `read` gives; their rows are those of the weight, or with
// by_input those of A. What PiSSA took out of the base is in the change once more, negative.
AdapterPair pair_of(const LoraTarget& target,
                    const std::function<at::Tensor(const std::string&, bool by_input)>& read) {
  AdapterPair pair{.a = read(lora_a_name(target.weight), true),
                   .b = read(lora_b_name(target.weight), false),
                   .magnitude = {},
                   .scale = target.scale};
  if (target.dora) pair.magnitude = read(lora_magnitude_name(target.weight), false);
  if (!target.pissa) return pair;
  pair.a = at::cat({pair.a, read(lora_a_start_name(target.weight), true)}, -2);
  pair.b = at::cat({pair.b, read(lora_b_start_name(target.weight), false).neg()}, -1);
  return pair;
}

}  // namespace

AdapterBase AdapterBase::of(const CheckpointInfo& info) {
  const Json said = info.manifest.value(kBase, Json());
  return {text_in(info, said, "path"), text_in(info, said, "digest")};
}

void AdapterBase::require(const std::string& digest_there, const std::string& path_there,
                          const std::string& checkpoint) const {
  if (digest_there == digest) return;
  throw Error(ErrorKind::kData,
              format("{} is not the base of {}: its digest is {}, that of the base {}", path_there,
                     checkpoint, digest_there, digest),
              "say with --base where the base is now");
}

bool AdapterRunSource::is_adapted(const CheckpointInfo& info) {
  return info.manifest.contains(kBase);
}

std::unique_ptr<AdapterRunSource> AdapterRunSource::open(const RankContext& context,
                                                         const CheckpointInfo& info,
                                                         const std::optional<std::string>& base) {
  AdapterBase said;
  Recipe recipe;
  std::string path;
  agreed(context.world, "adapter: base", [&] {
    said = AdapterBase::of(info);
    recipe = recipe_of(info);
    path = base.value_or(said.path);
    if (context.is_chief() && !path_exists(path, ErrorKind::kData)) {
      throw Error(ErrorKind::kData, format("the base of {} is not at {}", info.path, path),
                  "say with --base where it is now");
    }
  });
  auto weights = upcycled(ModelSource::open(context, path), recipe.model.upcycle, recipe.seed);
  const std::string digest = weights->digest(context);
  std::unique_ptr<AdapterRunSource> source;
  agreed(context.world, "adapter: open", [&] {
    said.require(digest, path, info.path);
    source = std::make_unique<AdapterRunSource>(info, recipe, std::move(weights));
  });
  return source;
}

AdapterRunSource::AdapterRunSource(CheckpointInfo info, const Recipe& recipe,
                                   std::unique_ptr<ModelSource> base)
    : ModelSource(info.path, merged_config(info, *base)),
      info_(std::move(info)),
      saved_(info_),
      base_(std::move(base)) {
  dtypes_ = base_->dtypes();
  for (const arch::ParameterInfo& row : saved_table(info_, recipe, saved_)) {
    if (row.adapter) continue;
    in_full_.insert(row.name);
    dtypes_[row.name] = saved_.dtype(row.name);
  }
  for (const LoraTarget& target : targets_of(recipe)) {
    if (in_full_.contains(target.weight)) continue;
    targets_.emplace(target.weight, target);
    // A sum keeps the dtype of the masters.
    dtypes_[target.weight] = saved_.rows(lora_b_name(target.weight), 0, 1).scalar_type();
  }
}

Adapter adapter_of_run(const CheckpointInfo& info) {
  const Recipe recipe = recipe_of(info);
  const CheckpointRows saved(info);
  Adapter adapter;
  std::map<std::string, at::Tensor> values;
  for (const arch::ParameterInfo& row : saved_table(info, recipe, saved)) {
    const at::Tensor whole = saved.rows(row.name, 0, row.shape[0]);
    (row.adapter ? values : adapter.saved)[row.name] = whole;
  }
  for (const LoraTarget& target : targets_of(recipe)) {
    if (adapter.saved.contains(target.weight)) continue;
    adapter.pairs.emplace(target.weight, pair_of(target, [&](const std::string& name, bool) {
                            return values.at(name);
                          }));
  }
  return adapter;
}

Json AdapterRunSource::tokenizer() const {
  return info_.manifest.value("tokenizer", Json(nullptr));
}

HubOrigin AdapterRunSource::origin(const RankContext& context) const {
  HubOrigin origin = base_->origin(context);
  const HubOrigin own = CheckpointStore::origin(context, info_);
  if (!own.files.empty()) origin.files = own.files;
  return origin;
}

std::string AdapterRunSource::digest_here(const std::function<void()>&) const {
  return digest_of(read_manifest(path_));  // which has that of the base
}

at::Tensor AdapterRunSource::rows(const std::string& name, std::int64_t first,
                                  std::int64_t count) const {
  if (in_full_.contains(name)) return saved_.rows(name, first, count);
  const at::Tensor weight = base_->rows(name, first, count);
  const auto target = targets_.find(name);
  if (target == targets_.end()) return weight;
  // Rows of an expert's weight are all of it, with all of its A.
  const bool expert = parameter(name).scope == arch::Scope::kExpert;
  const AdapterPair pair = pair_of(target->second, [&](const std::string& part, bool by_input) {
    return expert || !by_input ? saved_.rows(part, first, count)
                               : saved_.rows(part, 0, target->second.r);
  });
  return adapted_rows(pair, weight.to(pair.b.scalar_type()), 0);
}

void AdapterRunSource::fill(const RankContext& context, const StateDict& model) const {
  fill_by_reading(context, model, "the adapted model",
                  "use the model.config of the run (its config.json)");
}

}  // namespace moesaic
