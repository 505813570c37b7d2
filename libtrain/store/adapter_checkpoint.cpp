#include "store/adapter_checkpoint.h"

#include <ATen/ops/cat.h>

#include <utility>

#include "config/model_config.h"
#include "config/recipe_reader.h"
#include "core/digest.h"
#include "store/manifest.h"

namespace moesaic {
namespace {

constexpr const char* kBaseEntry = "base";

std::string text_in(const CheckpointInfo& info, const Json& object, const char* key) {
  const bool known = object.is_object() && object.contains(key) && object.at(key).is_string();
  MOESAIC_CHECK(known, ErrorKind::kCheckpoint, "{}: the manifest has no text '{}'", info.path, key);
  return object.at(key).get<std::string>();
}

arch::Options saved_arch(const CheckpointInfo& info) {
  const std::string path = info.path + "/" + kConfigFile;
  return arch::require_options(read_config_file(path, ErrorKind::kCheckpoint), path);
}

}  // namespace

AdapterBase AdapterBase::of(const CheckpointInfo& info) {
  const Json said = info.manifest.value(kBaseEntry, Json());
  return {text_in(info, said, "path"), text_in(info, said, "digest")};
}

void AdapterBase::require(const std::string& digest_there, const std::string& path_there,
                          const std::string& checkpoint, const std::string& hint) const {
  if (digest_there == digest) return;
  throw Error(ErrorKind::kData,
              format("{} is not the base of {}: its digest is {}, that of the base {}", path_there,
                     checkpoint, digest_there, digest),
              hint);
}

bool holds_adapter(const CheckpointInfo& info) { return info.manifest.contains(kBaseEntry); }

AdapterCheckpoint::AdapterCheckpoint(const CheckpointInfo& info)
    : rows_(info), digest_(digest_of(read_manifest(info.path))) {
  if (info.manifest.contains(kAdapterEntry)) {
    arch_ = saved_arch(info);
    description_ = AdapterDescription::from_json(info.manifest.at(kAdapterEntry), info.path);
  } else {
    const Json training = info.manifest.value("training", Json());
    const Recipe recipe = recipe_from_yaml(text_in(info, training, "recipe"), info.path);
    arch_ = architecture_of(recipe);
    upcycle_ = recipe.model.upcycle;
    seed_ = recipe.seed;
    description_ = AdapterDescription::of(recipe, arch_);
  }
  Differences differences("the checkpoint");
  rows_.compare(description_.table(arch_, info.path), differences);
  differences.require_none(format("{} does not hold the adapter that it speaks of", info.path),
                           "take another checkpoint");
  for (const auto& [weight, target] : description_.pairs) {
    const std::string b = lora_b_name(weight);
    entries_[weight] = {.is_pair = true,
                        .dtype = rows_.rows(b, 0, 1).scalar_type(),  // that of a master
                        .rows = rows_.shape(b).at(0)};
  }
  for (const std::string& name : description_.saved) {
    if (const auto pair = entries_.find(name); pair != entries_.end()) {
      pair->second.has_base = true;
      pair->second.dtype = c10::promoteTypes(pair->second.dtype, rows_.dtype(name));
      continue;
    }
    entries_[name] = {
        .is_pair = false, .dtype = rows_.dtype(name), .rows = rows_.shape(name).at(0)};
  }
}

AdapterPair AdapterCheckpoint::pair(const std::string& weight, std::int64_t first,
                                    std::int64_t count) const {
  const LoraTarget& target = description_.pairs.at(weight);
  const bool experts = rows_.shape(lora_a_name(weight)).size() == 3;
  const auto of_weight = [&](const std::string& name) { return rows_.rows(name, first, count); };
  // Rows of routed experts are experts, each with its A; any other weight has one A.
  const auto of_a = [&](const std::string& name) {
    return experts ? of_weight(name) : rows_.rows(name, 0, target.r);
  };
  AdapterPair pair{.a = of_a(lora_a_name(weight)),
                   .b = of_weight(lora_b_name(weight)),
                   .magnitude = {},
                   .scale = target.scale};
  if (target.dora) pair.magnitude = of_weight(lora_magnitude_name(weight));
  if (!target.pissa || entries_.at(weight).has_base) return pair;
  // What PiSSA took out of the base is in the change once more, negative.
  pair.a = at::cat({pair.a, of_a(lora_a_start_name(weight))}, -2);
  pair.b = at::cat({pair.b, of_weight(lora_b_start_name(weight)).neg()}, -1);
  return pair;
}

}  // namespace moesaic
