// A Hugging Face folder of a tiny model, whose values follow from names and global elements as in
// sample_checkpoint.h, and its files written byte by byte, also wrongly.
#pragma once

#include <ATen/ops/cat.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/stack.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "arch/parameter_table.h"
#include "store/hub_index.h"
#include "store/hub_names.h"
#include "store/safetensors.h"
#include "store/shard_plan.h"
#include "support/sample_checkpoint.h"

namespace moesaic::test {

inline Json sample_hub_config() {
  return {{"architectures", {"OlmoeForCausalLM"}},
          {"model_type", "olmoe"},
          {"vocab_size", 31},
          {"hidden_size", 16},
          {"intermediate_size", 12},
          {"num_hidden_layers", 2},
          {"num_attention_heads", 4},
          {"num_key_value_heads", 2},
          {"num_experts", kSampleExperts},
          {"num_experts_per_tok", 3},
          {"torch_dtype", "float32"},
          {"bos_token_id", 5}};
}

inline Json sample_dense_config() {
  return {{"model_type", "llama"},    {"vocab_size", 31},           {"hidden_size", 16},
          {"intermediate_size", 12},  {"num_hidden_layers", 2},     {"num_attention_heads", 4},
          {"torch_dtype", "float32"}, {"tie_word_embeddings", true}};
}

inline void write_text(const std::string& path, const std::string& text) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << text;
}

/// A file with any header and any number of bytes after it.
inline std::string safetensors_bytes(const std::string& header, const std::string& data) {
  const std::uint64_t length = header.size();
  std::string bytes(sizeof length, '\0');
  std::memcpy(bytes.data(), &length, sizeof length);
  return bytes + header + data;
}

/// Tensors by their names on the hub.
using HubTensors = std::map<std::string, at::Tensor>;

inline HubTensors sample_hub_tensors(const Json& config, at::ScalarType dtype = at::kFloat) {
  HubTensors tensors;
  for (const auto& info : arch::parameter_table(arch::require_options(config, "sample"))) {
    const at::Tensor values = sample_tensor(info.name, info.shape, dtype);
    if (info.scope == Scope::kDense) {
      tensors[info.name] = values;
      continue;
    }
    for (std::int64_t i = 0; i < info.shape[0]; ++i) {
      tensors[hub_name(info.name, i)] = values.select(0, i).clone();
    }
  }
  return tensors;
}

/// The experts of each layer in two tensors, as Transformers 5 holds them.
inline HubTensors with_fused_experts(const HubTensors& tensors, const Json& config) {
  const auto& names = arch::network_names(arch::require_options(config, "sample"));
  std::map<std::string, std::vector<at::Tensor>> layers;
  HubTensors fused;
  for (const auto& [name, values] : tensors) {
    const HubName parts = split_hub_name(name);
    const std::size_t begin = name.find("experts.");
    const std::string prefix = name.substr(0, begin + 8);
    if (!parts.expert) {
      fused[name] = values;
    } else if (name.find(names.gate, begin) != std::string::npos) {
      for (const char* end : {"gate_up_proj", "down_proj"}) {
        auto& experts = layers[prefix + end];
        experts.resize(std::max(experts.size(), static_cast<std::size_t>(*parts.expert) + 1));
      }
      const std::string stem = format("{}{}.", prefix, *parts.expert);
      const auto of = [&](const char* kind) { return tensors.at(stem + kind + ".weight"); };
      const auto expert = static_cast<std::size_t>(*parts.expert);
      layers[prefix + "gate_up_proj"][expert] = at::cat({of(names.gate), of(names.up)});
      layers[prefix + "down_proj"][expert] = of(names.down);
    }
  }
  for (const auto& [name, experts] : layers) fused[name] = at::stack(experts);
  return fused;
}

inline void write_safetensors(const std::string& path, const HubTensors& tensors) {
  std::vector<SafetensorsSpec> specs;
  for (const auto& [name, values] : tensors) {
    specs.push_back({name, values.scalar_type(), values.sizes().vec()});
  }
  SafetensorsWriter writer(path, specs);
  for (const SafetensorsSpec& spec : writer.tensors()) {
    writer.write(tensors.at(spec.name));
  }
  writer.finish();
}

/// config.json, the weights in `shards` files, and two small files.
inline void write_hub_folder(const std::string& path, const Json& config, const HubTensors& tensors,
                             std::size_t shards = 1) {
  std::filesystem::create_directories(path);
  write_text(path + "/config.json", config.dump(2) + "\n");
  write_text(path + "/generation_config.json", "{\"temperature\": 0.5}\n");
  write_text(path + "/tokenizer.json", "{\"version\": \"1.0\"}");
  if (shards == 1) return write_safetensors(path + "/model.safetensors", tensors);
  std::vector<HubTensors> parts(shards);
  HubIndex index;
  std::size_t next = 0;
  for (const auto& [name, values] : tensors) {
    const std::size_t shard = next++ % shards;
    parts[shard][name] = values;
    index.weights.emplace_back(name, shard);
  }
  for (std::size_t i = 0; i < shards; ++i) {
    index.shards.push_back(shard_name(i, shards));
    write_safetensors(path + "/" + index.shards.back(), parts[i]);
  }
  write_text(path + "/" + kHubIndexFile, hub_index_text(index, 0));
}

/// Every tensor of the folder's files.
inline HubTensors read_hub_tensors(const std::string& path) {
  HubTensors tensors;
  for (const auto& item : std::filesystem::directory_iterator(path)) {
    if (item.path().extension() != ".safetensors") continue;
    const SafetensorsFile file(item.path().string());
    for (const SafetensorsTensor& tensor : file.header().tensors) {
      tensors[tensor.name] = at::empty(tensor.shape, *weight_dtype(*tensor.dtype));
      file.read(tensor, 0, tensors[tensor.name]);
    }
  }
  return tensors;
}

/// The first name that is not in both, or not with the same bits and type; "" when there is none.
inline std::string different_tensor(const HubTensors& a, const HubTensors& b) {
  for (const HubTensors* one : {&a, &b}) {
    for (const auto& [name, values] : *one) {
      const auto left = a.find(name);
      const auto right = b.find(name);
      if (left == a.end() || right == b.end()) return name;
      if (left->second.scalar_type() != right->second.scalar_type()) return name;
      if (!at::equal(left->second, right->second)) return name;
    }
  }
  return "";
}

/// The slices that this rank holds of the model of `config`, without values.
inline StateDict empty_slices(const RankContext& context, const Json& config,
                              at::ScalarType dtype = at::kFloat) {
  StateDict model;
  for (const auto& info : arch::parameter_table(arch::require_options(config, "sample"))) {
    StateEntry entry{
        .name = info.name, .tensor = {}, .global_shape = info.shape, .scope = info.scope};
    std::vector<std::int64_t> shape = info.shape;
    if (info.scope == Scope::kExpert) {
      shape[0] = context.plan.local_experts(info.shape[0]);
      entry.offset = context.plan.first_expert(context.rank(), info.shape[0]);
    }
    entry.tensor = at::full(shape, -3, at::TensorOptions(dtype));
    model.push_back(entry);
  }
  return model;
}

/// The message and hint of the error of `work`; "" without one.
inline std::string refusal_of(const std::function<void()>& work) {
  try {
    work();
  } catch (const Error& error) {
    return std::string(error.what()) + " | " + error.hint();
  }
  return "";
}

inline bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace moesaic::test
