// One table of all parameters of an architecture, torch-free. The model, `plan`, the checkpoint and
// `inspect` are all driven by it. A mode rewrites the table before anything is made from it: what
// is trained, what is added, how a frozen weight is kept.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "arch/arch.h"
#include "arch/storage.h"

namespace moesaic::arch {

enum class Scope { kDense, kExpert };
/// kNormal and kUniform: mean 0, standard deviation init_std.
enum class Init { kNormal, kUniform, kOnes, kZeros };

/// What a parameter is a part of, as reports count it.
enum class Group { kAttention, kDense, kShared, kExperts, kRouter, kEmbedding, kHead, kNorms };
/// attention | dense | shared | experts | router | embedding | head | norms
const char* name_of(Group group);

struct ParameterInfo {
  std::string name;                 // the hub's, with "experts.<i>." joined to "experts."
  std::vector<std::int64_t> shape;  // global; the first dimension of kExpert is num_experts
  Scope scope = Scope::kDense;
  Init init = Init::kNormal;
  bool decay = true;             // weight decay applies (false for norms and biases)
  bool trainable = true;         // its gradient is wanted, and the optimizer changes it
  bool correction_bias = false;  // of a router: a rule moves it, in steps too small for bfloat16
  Group group = Group::kDense;
  double init_std = 0.02;
  double flops_per_token = 0;  // forward, a multiply-add counting 2; experts: of the top k only
  double learning_rate_ratio = 1.0;         // its learning rate over that of the step
  std::optional<double> weight_decay = {};  // where `decay`, in place of the optimizer's
  bool adapter = false;                     // stands beside the model's own, beginning anew
  double adapter_scale = 0;            // of the product of the factors beside it; 0 = it has none
  std::int64_t most_experts = 0;       // trained: at most so many of its experts, which a run
                                       // chooses; 0 = all
  Storage storage = Storage::kMaster;  // of matrices; all others are masters

  std::int64_t numel() const;
  std::int64_t trainable_numel() const;  // at most
  /// Of all experts; a value in the type of the masters has `master_bytes`.
  std::int64_t bytes(std::int64_t master_bytes) const;
};

/// In checkpoint order, which is the one in which a forward pass meets the parameters.
using ParameterTable = std::vector<ParameterInfo>;

/// Every parameter. A tied lm_head is left out.
ParameterTable parameter_table(const Options& options);

/// "model.layers.<layer>."
std::string layer_prefix(std::int64_t layer);

/// What the hub calls the parts of a layer for multi-token prediction beside its block; the last
/// two are copies of the embedding and the head.
struct PredictionNames {
  static constexpr const char* kEmbeddingNorm = "enorm.weight";
  static constexpr const char* kHiddenNorm = "hnorm.weight";
  static constexpr const char* kProjection = "eh_proj";
  static constexpr const char* kHeadNorm = "shared_head.norm.weight";
  static constexpr const char* kEmbedding = "embed_tokens.weight";
  static constexpr const char* kHead = "shared_head.head.weight";
};
/// Whether a parameter belongs to the layers for multi-token prediction.
bool is_prediction_parameter(const Options& options, const std::string& name);

}  // namespace moesaic::arch
