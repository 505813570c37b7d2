// AdapterDescription: which weights of a model an adapter changes, and how; without values.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "arch/parameter_table.h"
#include "config/lora_targets.h"
#include "config/recipe.h"
#include "core/json.h"
#include "store/adapter.h"

namespace moesaic {

struct AdapterDescription {
  std::map<std::string, LoraTarget> pairs;  // by the name of the weight
  std::vector<std::string> saved;  // parameters with whole values; some may have a pair, too

  static AdapterDescription of(const Adapter& adapter);
  /// What the recipe of a run trains, of the model `arch`.
  static AdapterDescription of(const Recipe& recipe, const arch::Options& arch);

  /// {"pairs": {weight: {"r", "scale", "use_dora"}}, "saved": [parameter]}
  Json to_json() const;
  /// Error(kCheckpoint) naming `where` for anything else.
  static AdapterDescription from_json(const Json& json, const std::string& where);

  /// What a checkpoint of it holds, in the order of the model's parameters. Error(kCheckpoint)
  /// naming `where` when the model lacks a weight, or it has no rows to stand beside.
  arch::ParameterTable table(const arch::Options& arch, const std::string& where) const;
};

/// The values of an adapter under the names of that table.
std::map<std::string, at::Tensor> named_values(const Adapter& adapter);

}  // namespace moesaic
