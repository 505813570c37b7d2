// The keys of a PEFT folder as those of adapt.lora, for an adapter that is trained on.
#pragma once

#include <string>

#include "arch/arch.h"
#include "config/problem.h"
#include "config/recipe.h"

namespace moesaic {

/// Of `folder`/adapter_config.json, for a model `arch`. PEFT's names of parameters and of fused
/// experts become those of modules here; its names of projections in models with routed experts
/// mean these alone. Keys that adapt.lora does not have are left out: store/peft_config.h says
/// whether they can be used. Mistakes in the values go to `problems`; Error(kRecipe) for a file
/// that cannot be read.
LoraOptions lora_of_peft(const std::string& folder, const arch::Options& arch,
                         ProblemList& problems);

}  // namespace moesaic
