// `moesaic plan --matrix`: how many devices of each kind a model needs, for full training, adapters
// on weights in bfloat16 and in NF4, and generation.
#pragma once

#include <string>
#include <vector>

#include "arch/device.h"
#include "config/recipe.h"
#include "core/json.h"

namespace moesaic::cli {

/// One row for each device and way. The recipe was loaded without errors; Error(kUsage) for a model
/// that reads no tokens. KeyError where its adapt.lora does not go with frozen weights in bfloat16.
Json matrix_json(const Recipe& recipe, const std::vector<arch::Device>& devices);

/// The same as a table on stdout.
void print_matrix(const Json& matrix);

}  // namespace moesaic::cli
