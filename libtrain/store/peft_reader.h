// Reads a PEFT folder as the adapter of a model: the experts' pairs one by one, or fused as PEFT
// has them for Transformers 5 (`target_parameters`): A [E r, K] with the experts one after the
// other, B [N, r E] with the expert running fastest, gate and up in one.
#pragma once

#include <string>

#include "arch/arch.h"
#include "store/adapter.h"

namespace moesaic {

/// By this process alone. Tensors keep their types; the pair of gate_up_proj becomes two with the
/// same A. Error(kCheckpoint) when a file is missing or damaged, adapter_config.json asks for what
/// is not known here, or names and shapes are not those of the model `options`.
Adapter read_peft_folder(const std::string& path, const arch::Options& options);

}  // namespace moesaic
