// Names of tensors in PEFT's adapter_model.safetensors: what PEFT does with a weight, and what
// Transformers calls it in memory, where the experts of a layer are fused and the block of every
// family is called mlp.
#pragma once

#include <optional>
#include <string>

#include "arch/arch.h"

namespace moesaic {

enum class PeftPart { kA, kB, kMagnitude, kSaved };

/// Of a model that ties the output head to the embedding, PEFT trains and loads both apart.
inline constexpr const char* kTiedHead = "lm_head.weight";
inline constexpr const char* kTiedEmbedding = "model.embed_tokens.weight";

struct PeftKey {
  std::string path;  // of the module in the model; kSaved: of the weight
  PeftPart part = PeftPart::kSaved;
};

/// nullopt for what is no tensor of a LoRA adapter: biases of B, factors of embeddings.
std::optional<PeftKey> parse_peft_key(const std::string& key);
std::string peft_key_text(const PeftKey& key);

/// A parameter or module of a model here, as Transformers has it in memory; experts stay joined.
std::string name_in_memory(const arch::Options& options, const std::string& name);
/// The reverse, for what is no fused tensor of experts.
std::string name_of_memory(const arch::Options& options, const std::string& name);

/// The modules that hold the fused experts of a layer: "model.layers.1.mlp.experts", wrapped once
/// more where both gate_up_proj and down_proj are adapted: then down_proj's is the outer one.
struct PeftExperts {
  std::string path;    // without the wrapper
  bool inner = false;  // the wrapped one
};
/// nullopt for the path of any other module.
std::optional<PeftExperts> parse_peft_experts(const std::string& path);

/// "model.layers.1.mlp.experts." of a joined parameter of experts, as it is named here.
std::string experts_prefix(const std::string& parameter);

}  // namespace moesaic
