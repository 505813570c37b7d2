// Rotary position embedding: its variants, and how config.json spells them.
#pragma once

#include <cstdint>
#include <string>

#include "core/json.h"

namespace moesaic::arch {

class ConfigReader;

/// Settings of rotary positions (Su et al. 2021). Variants as in Transformers' modeling_rope_utils:
/// default; linear (positions divided by `factor`); dynamic (NTK: theta grows with the sequence);
/// llama3 (long wavelengths divided by `factor`); yarn (Peng et al. 2023, arXiv 2309.00071).
struct Rope {
  std::string type = "default";
  double theta = 10000.0;
  double factor = 1.0;
  double original_max_position_embeddings = 0;       // llama3, yarn
  double low_freq_factor = 0, high_freq_factor = 0;  // llama3
  double beta_fast = 32, beta_slow = 1;              // yarn
  double mscale = 0, mscale_all_dim = 0;             // yarn; 0 = absent
  double given_attention_factor = 0;                 // yarn; 0 = derived
  bool truncate = true;                              // yarn
  bool interleaved = false;  // pairs (2i, 2i+1) instead of (i, i + dim/2); not of this block

  /// What cos and sin are multiplied by.
  double attention_factor() const;
  /// What latent attention multiplies its softmax scale by (DeepSeek's code).
  double softmax_factor() const;

  bool operator==(const Rope&) const = default;
};

/// Both spellings: `rope_parameters`, and `rope_theta` with `rope_scaling` ("type" or "rope_type").
/// Mistakes go to the reader. `defaults` are the family's; `dim` is the rotated width of a head.
Rope read_rope(ConfigReader& reader, const Rope& defaults, std::int64_t max_position_embeddings,
               std::int64_t dim);

/// Writes both spellings.
void write_rope(const Rope& rope, Json& config);

}  // namespace moesaic::arch
