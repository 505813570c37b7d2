#include "store/hub_config.h"

#include "core/error.h"

namespace moesaic {
namespace {

bool describes(const Json& config, const arch::Options& options) {
  std::vector<arch::Problem> problems;
  const arch::Options original = arch::read_options(config, problems);
  for (const arch::Problem& problem : problems) {
    if (!problem.warning) return false;
  }
  return arch::to_config(original) == arch::to_config(options);
}

/// Under the name that is there already: Transformers 5 writes `dtype`, earlier ones `torch_dtype`,
/// which both of them read.
bool set_dtype(Json& config, const std::string& dtype) {
  bool there = false;
  bool changed = false;
  for (const char* key : {"dtype", "torch_dtype"}) {
    if (!config.contains(key)) continue;
    there = true;
    changed = changed || config[key] != dtype;
    config[key] = dtype;
  }
  if (!there) config["torch_dtype"] = dtype;
  return changed || !there;
}

// The model may have fewer layers for multi-token prediction than its origin announced.
bool set_predicted_layers(Json& config, std::int64_t layers) {
  constexpr const char* kKey = "num_nextn_predict_layers";
  if (!config.contains(kKey) || config[kKey] == layers) return false;
  config[kKey] = layers;
  return true;
}

}  // namespace

std::string hub_config_text(const arch::Options& options, const std::string& original,
                            const std::string& dtype) {
  Json config;
  if (!original.empty()) {
    config = parse_json(original, "config.json of the model's origin", ErrorKind::kCheckpoint);
  }
  const bool other_layers = set_predicted_layers(config, options.num_nextn_predict_layers);
  const bool kept = !original.empty() && describes(config, options);
  if (!kept) config = arch::to_config(options);
  const bool new_dtype = set_dtype(config, dtype);
  return kept && !new_dtype && !other_layers ? original : config.dump(2) + "\n";
}

}  // namespace moesaic
