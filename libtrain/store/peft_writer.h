// An adapter as a PEFT folder: a function of the adapter and the architecture alone, and its
// writing.
#pragma once

#include <map>
#include <string>

#include "arch/arch.h"
#include "store/adapter.h"
#include "store/peft_config.h"

namespace moesaic {

/// How the pairs of routed experts are stored: two-dimensional tensors of each expert under the
/// hub's names, or one pair for all experts and for gate and up together, as PEFT has them in
/// memory (store/peft_reader.h).
enum class ExpertLayout { kPerExpert, kFused };

struct PeftFiles {
  PeftConfig config;
  std::map<std::string, at::Tensor> tensors;
};

/// What PEFT `kPeftVersion` loads so that it computes what the adapter does. Where its own names
/// would say something else, the same numbers are written in another way: ranks that differ between
/// experts are filled up with zeros, pairs that it wants beside others are zero, and a scale of
/// rsLoRA becomes a lora_alpha. Error(kRecipe) for what it has no form for: DoRA where it adapts a
/// parameter and no module (routed experts, routers, networks beside routed experts), layers for
/// multi-token prediction, and modules of which only a part was trained in full.
PeftFiles peft_files(const Adapter& adapter, const arch::Options& options, ExpertLayout layout);

/// Writes both files into a folder. Error(kCheckpoint) when it cannot, or a value is NaN or
/// infinite.
void write_peft_files(const std::string& folder, const PeftFiles& files);

}  // namespace moesaic
