// Which linear maps of a model get a low-rank adapter beside them, and of which rank.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "arch/parameter_table.h"
#include "config/recipe.h"

namespace moesaic {

/// The change of `weight` is scale B A, B [N, r] and A [r, K], one for each expert; with `dora` the
/// rows of the sum then get the lengths of the magnitude vector [N].
struct LoraTarget {
  std::string weight;  // "model.layers.0.self_attn.q_proj.weight"
  std::int64_t r = 0;
  double alpha = 0;
  double scale = 0;
  bool dora = false;
  bool pissa = false;  // the change is scale (B A - B_start A_start)
};

/// Names of the factors in the table and in checkpoints: X.weight -> X.lora_A.weight,
/// X.lora_B.weight, X.lora_magnitude_vector.weight; what PiSSA took out of the weight is
/// X.lora_A_start.weight, X.lora_B_start.weight.
std::string lora_a_name(const std::string& weight);
std::string lora_b_name(const std::string& weight);
std::string lora_magnitude_name(const std::string& weight);
std::string lora_a_start_name(const std::string& weight);
std::string lora_b_start_name(const std::string& weight);

/// Whether it is a linear map inside a layer: no embedding, output head, router or gate.
bool is_layer_matrix(const arch::ParameterInfo& info);

/// In the order of `table`, that of the architecture. Linear maps of modules_to_save have none, nor
/// have the layers for multi-token prediction. KeyError for what matches nothing, for a rank larger
/// than its matrix, for what can have no adapter here, and where the routed experts are left out
/// without a word.
std::vector<LoraTarget> lora_targets(const LoraOptions& lora, const arch::Options& arch,
                                     const arch::ParameterTable& table);

}  // namespace moesaic
