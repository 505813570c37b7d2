// Tiny models of every family whose units' gradients are clipped, in full and with adapters, and
// what each unit gives alone.
#pragma once

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "support/mpi_test.h"
#include "support/tiny_private.h"

namespace moesaic::test {

struct PrivateCase {
  std::string name;
  arch::Options arch;
  TinyAdapters beside = {};

  /// Sizes of expert groups that the model and the number of ranks allow.
  std::vector<int> layouts() const {
    if (!arch.is_moe()) return {1};
    std::vector<int> sizes = expert_sizes();
    std::erase_if(sizes, [&](int size) { return arch.num_experts % size != 0; });
    return sizes;
  }
};

/// Those of fisher_archs(), and the families that have no example there.
inline std::vector<arch::Options> private_archs() {
  std::vector<arch::Options> all = fisher_archs();
  const Json experts = {
      {"num_experts", 12}, {"moe_intermediate_size", 6}, {"num_experts_per_tok", 3}};
  const Json latent = {{"num_key_value_heads", 4}, {"kv_lora_rank", 6},
                       {"q_lora_rank", 5},         {"qk_nope_head_dim", 4},
                       {"qk_rope_head_dim", 2},    {"v_head_dim", 3},
                       {"n_routed_experts", 12},   {"moe_intermediate_size", 6},
                       {"num_experts_per_tok", 2}, {"first_k_dense_replace", 1}};
  all.push_back(fisher_arch("qwen3", {{"head_dim", 4}}));
  all.push_back(fisher_arch("mixtral", {{"num_local_experts", 4}}));
  Json qwen = experts;
  qwen["head_dim"] = 4;
  all.push_back(fisher_arch("qwen3_moe", qwen));
  all.push_back(fisher_arch("deepseek_v2", latent));
  return all;
}

inline LoraOptions private_lora(bool dora) {
  LoraOptions options;
  options.r = 2;
  options.use_dora = dora;
  options.router = "lora";
  return options;
}

inline std::vector<PrivateCase> private_cases() {
  std::vector<PrivateCase> all;
  for (const arch::Options& arch : private_archs()) {
    const char* tied = arch.tie_word_embeddings ? ", tied" : "";
    all.push_back({format("{}{}{}", arch.model_type, arch.num_nextn_predict_layers, tied), arch});
  }
  const arch::Options olmoe = fisher_arch("olmoe"), deepseek = fisher_arch("deepseek_v3");
  all.push_back({"olmoe, LoRA", olmoe, tiny_lora(private_lora(false), olmoe)});
  all.push_back({"olmoe, DoRA", olmoe, tiny_lora(private_lora(true), olmoe)});
  all.push_back({"deepseek_v3, LoRA", deepseek, tiny_lora(private_lora(false), deepseek)});
  return all;
}

/// Of one process: each unit's whole gradient alone.
struct UnitsAlone {
  RankContext context = RankContext::single();
  std::vector<std::vector<at::Tensor>> gradients;
  std::vector<double> norms;

  UnitsAlone(const PrivateCase& one, std::int64_t units, at::ScalarType dtype = at::kDouble) {
    PrivateModel model(context, one.arch, {.beside = one.beside, .dtype = dtype});
    for (std::int64_t n = 0; n < units; ++n) {
      std::vector<at::Tensor> own;
      for (const at::Tensor& x : model.sums({n}, 1))
        own.push_back(x.defined() ? x.clone() : at::Tensor());
      norms.push_back(model.norm_of(own));
      gradients.push_back(std::move(own));
    }
  }

  double median() const {
    std::vector<double> sorted = norms;
    std::sort(sorted.begin(), sorted.end());
    return sorted[sorted.size() / 2];
  }

  /// Clipped flat.
  at::Tensor clipped_sum(std::size_t parameter, double clip_norm) const {
    at::Tensor sum;
    for (std::size_t n = 0; n < gradients.size(); ++n) {
      const at::Tensor own = gradients[n][parameter].mul(std::min(1.0, clip_norm / norms[n]));
      sum = sum.defined() ? sum.add(own) : own;
    }
    return sum;
  }
};

}  // namespace moesaic::test
