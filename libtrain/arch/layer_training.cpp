#include "arch/layer_training.h"

#include <string>

#include "arch/family.h"

namespace moesaic::arch {
namespace {

std::string module_of_row(const ParameterInfo& info) {
  return info.name.substr(0, info.name.rfind('.'));
}

bool is_trained_norm(const ParameterInfo& info, const char* end) {
  return info.trainable && info.group == Group::kNorms && info.name.ends_with(end);
}

MapPlace place_of(const Options& o, const ParameterInfo& weight) {
  const std::string module = module_of_row(weight);
  if (weight.group == Group::kAttention) {
    if (module.ends_with("o_proj")) return MapPlace::kOut;
    const bool latent = module.ends_with("q_b_proj") || module.ends_with("kv_b_proj");
    return latent ? MapPlace::kLatent : MapPlace::kIn;
  }
  const bool down = module.ends_with(network_names(o).down) || module.ends_with("down_proj");
  return down ? MapPlace::kOut : MapPlace::kIn;
}

// A factor [r, K] or [N, r] of the change of `weight`: the first one, or the second.
void count_factor(const ParameterInfo& weight, const ParameterInfo& factor, MapTraining& maps) {
  const std::size_t last = weight.shape.size() - 1;
  if (factor.shape.size() != weight.shape.size()) return;  // a magnitude
  const bool first = factor.shape[last] == weight.shape[last] && factor.name.ends_with("A.weight");
  if (first && factor.trainable) ++maps.adapters;
  if (!first && factor.trainable) maps.ranks += static_cast<double>(factor.shape[last]);
}

}  // namespace

LayerTraining::LayerTraining(const Options& options, const std::vector<const ParameterInfo*>& rows,
                             bool below)
    : all_(false), input_(below) {
  bool norms_before = false, norms_within = false, norms_after = false;
  const ParameterInfo* weight = nullptr;
  for (const ParameterInfo* row : rows) {
    norms_before = norms_before || is_trained_norm(*row, "input_layernorm.weight");
    norms_after = norms_after || is_trained_norm(*row, "post_attention_layernorm.weight");
    norms_within = norms_within || (is_trained_norm(*row, ".weight") &&
                                    row->name.find(".self_attn.") != std::string::npos);
    if (row->group == Group::kNorms) continue;
    if (!row->adapter) weight = row;
    MapTraining& maps = maps_[{row->group, place_of(options, *weight)}];
    if (!row->adapter)
      maps.weight = maps.weight || row->trainable;
    else
      count_factor(*weight, *row, maps);
  }
  const auto any = [this](Group group, MapPlace place) { return maps(group, place).any(); };
  attention_ = input_ || norms_before || norms_within || any(Group::kAttention, MapPlace::kIn) ||
               any(Group::kAttention, MapPlace::kLatent);
  stream_ = attention_ || any(Group::kAttention, MapPlace::kOut);
  network_ = stream_ || norms_after || any(Group::kRouter, MapPlace::kIn);
  output_ = network_;
  for (const Group group : {Group::kDense, Group::kShared, Group::kExperts}) {
    network_ = network_ || any(group, MapPlace::kIn);
    output_ = output_ || network_ || any(group, MapPlace::kOut);
  }
}

MapTraining LayerTraining::maps(Group group, MapPlace place) const {
  if (all_) return {.weight = true};
  const auto found = maps_.find({group, place});
  return found == maps_.end() ? MapTraining() : found->second;
}

std::vector<LayerTraining> training_of_layers(const Options& options, const ParameterTable& table) {
  std::vector<LayerTraining> layers;
  bool below = false;
  for (const ParameterInfo& row : table)
    below = below || (row.trainable && row.group == Group::kEmbedding);
  const std::int64_t count = options.num_hidden_layers + options.num_nextn_predict_layers;
  for (std::int64_t layer = 0; layer < count; ++layer) {
    const std::string prefix = layer_prefix(layer);
    std::vector<const ParameterInfo*> rows;
    for (const ParameterInfo& row : table)
      if (row.name.starts_with(prefix)) rows.push_back(&row);
    layers.emplace_back(options, rows, below);
    below = layers.back().output();
  }
  return layers;
}

}  // namespace moesaic::arch
