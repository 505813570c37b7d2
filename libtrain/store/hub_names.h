// Names of weights: one tensor per expert on the hub, `...experts.<i>.up_proj.weight`, joined here
// to one parameter `...experts.up_proj.weight` whose first dimension is the expert.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace moesaic {

struct HubName {
  std::string parameter;               // joined
  std::optional<std::int64_t> expert;  // its index; nullopt for a weight that is no expert's
};

/// A name of the hub, taken apart at ".experts.<digits>.".
HubName split_hub_name(const std::string& name);

/// The reverse: the hub's name of one expert of a joined parameter (which has ".experts." in it).
std::string hub_name(const std::string& parameter, std::int64_t expert);

/// The experts of a layer in one tensor, as Transformers 5 holds them: `down_proj`, or
/// `gate_up_proj` with the rows of gate before those of up.
struct FusedExperts {
  std::string prefix;  // that of its parameters here: "model.layers.0.mlp.experts."
  bool gate_and_up = false;
};
/// nullopt for a name of anything else.
std::optional<FusedExperts> fused_experts(const std::string& name);

/// Buffers that some versions of Transformers have saved and that are computed here: frequencies
/// and tables of the rotary embedding.
bool is_computed(const std::string& name);

/// Names as the model's own class has them, of weights that were saved with something around it
/// (`module.`, `_orig_mod.` and the like), or without the class that has the output head (no
/// `model.`).
class ModelNames {
 public:
  /// All names of the files come here first.
  void see(const std::string& name);
  std::string in_model(const std::string& name) const;

 private:
  std::optional<std::string> before_embedding_;  // what stands before "embed_tokens.weight"
};

/// The layer of "model.layers.<n>...."; nullopt for other names.
std::optional<std::int64_t> layer_of(const std::string& name);

}  // namespace moesaic
