// Adapters of tiny models, whose values follow from names as in sample_checkpoint.h, and PEFT
// folders written with any tensors and configuration.
#pragma once

#include <ATen/ops/matmul.h>

#include <map>
#include <string>

#include "store/adapter.h"
#include "store/peft_config.h"
#include "support/sample_hub.h"

namespace moesaic::test {

/// Of the weight `name` with the shape [N, K] or [E, N, K]; small enough that the weight still
/// counts.
inline AdapterPair sample_pair(const std::string& name, const std::vector<std::int64_t>& shape,
                               std::int64_t rank, double scale = 2) {
  std::vector<std::int64_t> a = shape;
  std::vector<std::int64_t> b = shape;
  a[a.size() - 2] = rank;
  b.back() = rank;
  return {.a = sample_tensor(name + ".a", a, at::kFloat).div(16),
          .b = sample_tensor(name + ".b", b, at::kFloat).div(16),
          .magnitude = {},
          .scale = scale};
}

/// Pairs beside the weights whose names hold one of `parts`, without layers for multi-token
/// prediction.
inline Adapter sample_adapter(const arch::Options& options, const std::vector<std::string>& parts,
                              std::int64_t rank = 3) {
  Adapter adapter;
  for (const arch::ParameterInfo& info : arch::parameter_table(options)) {
    const bool wanted = std::any_of(parts.begin(), parts.end(), [&](const std::string& part) {
      return info.name.find(part) != std::string::npos;
    });
    const bool matrix = info.shape.size() > 1 && info.name.ends_with(".weight");
    if (wanted && matrix && !arch::is_prediction_parameter(options, info.name))
      adapter.pairs.emplace(info.name, sample_pair(info.name, info.shape, rank));
  }
  return adapter;
}

/// The change of the whole weight, in float64.
inline at::Tensor change_of(const AdapterPair& pair) {
  return at::matmul(pair.b.to(at::kDouble), pair.a.to(at::kDouble)).mul(pair.scale);
}

/// adapter_config.json as PEFT writes it, with `changes` over it.
inline Json sample_peft_config(const Json& changes = Json::object()) {
  Json config = {{"peft_type", "LORA"},      {"r", 3},
                 {"lora_alpha", 6},          {"bias", "none"},
                 {"peft_version", "0.21.2"}, {"base_model_name_or_path", "some/base"},
                 {"init_lora_weights", true}};
  for (const auto& [key, value] : changes.items()) config[key] = value;
  return config;
}

inline void write_peft_folder(const std::string& path, const Json& config,
                              const HubTensors& tensors) {
  std::filesystem::create_directories(path);
  write_text(path + "/" + kPeftConfigFile, config.dump());
  write_safetensors(path + "/" + kPeftWeightsFile, tensors);
}

}  // namespace moesaic::test
