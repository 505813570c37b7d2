// The rows of the table that the families share: attention, norms, embedding and head of a decoder.
#include "arch/parameter_table.h"

#include "arch/family.h"
#include "core/error.h"

namespace moesaic::arch {

const char* name_of(Group group) {
  switch (group) {
    case Group::kAttention:
      return "attention";
    case Group::kDense:
      return "dense";
    case Group::kShared:
      return "shared";
    case Group::kExperts:
      return "experts";
    case Group::kRouter:
      return "router";
    case Group::kEmbedding:
      return "embedding";
    case Group::kHead:
      return "head";
    case Group::kNorms:
      return "norms";
  }
  return "";
}

std::int64_t ParameterInfo::numel() const {
  std::int64_t product = 1;
  for (const std::int64_t extent : shape) product *= extent;
  return product;
}

std::int64_t ParameterInfo::trainable_numel() const {
  if (!trainable) return 0;
  return most_experts == 0 ? numel() : numel() / shape[0] * most_experts;
}

std::int64_t ParameterInfo::bytes(std::int64_t master_bytes) const {
  if (storage == Storage::kMaster) return numel() * master_bytes;
  const std::size_t last = shape.size() - 1;
  const std::int64_t rows = shape[last - 1], columns = shape[last];
  return numel() / (rows * columns) * matrix_bytes(storage, rows, columns, master_bytes);
}

ParameterInfo linear(std::string name, std::int64_t out, std::int64_t in) {
  ParameterInfo info{std::move(name), {out, in}};
  info.flops_per_token = 2.0 * static_cast<double>(out) * static_cast<double>(in);
  return info;
}

void count_as(Group group, std::size_t first, ParameterTable& table) {
  for (; first < table.size(); ++first) {
    if (table[first].group != Group::kNorms) table[first].group = group;
  }
}

ParameterInfo bias(std::string name, std::vector<std::int64_t> shape) {
  return {.name = std::move(name), .shape = std::move(shape), .init = Init::kZeros, .decay = false};
}

ParameterInfo norm(std::string name, std::int64_t width) {
  return {.name = std::move(name),
          .shape = {width},
          .init = Init::kOnes,
          .decay = false,
          .group = Group::kNorms};
}

void add_attention(const Options& o, const std::string& prefix, ParameterTable& table) {
  const std::int64_t query = o.num_attention_heads * o.head_dim;
  const std::int64_t key_value = o.num_key_value_heads * o.head_dim;
  const auto project = [&](const char* name, std::int64_t out, std::int64_t in, bool has_bias) {
    table.push_back(linear(prefix + name + ".weight", out, in));
    if (has_bias) table.push_back(bias(prefix + name + ".bias", {out}));
  };
  project("q_proj", query, o.hidden_size, o.attention_bias);
  project("k_proj", key_value, o.hidden_size, o.attention_bias);
  project("v_proj", key_value, o.hidden_size, o.attention_bias);
  project("o_proj", o.hidden_size, query, o.output_bias);
  if (o.qk_norm == QkNorm::kNone) return;
  const bool each = o.qk_norm == QkNorm::kEachHead;
  table.push_back(norm(prefix + "q_norm.weight", each ? o.head_dim : query));
  table.push_back(norm(prefix + "k_norm.weight", each ? o.head_dim : key_value));
}

void add_dense_network(const Options& o, const std::string& prefix, std::int64_t width,
                       ParameterTable& table) {
  const auto project = [&](const char* name, std::int64_t out, std::int64_t in) {
    table.push_back(linear(prefix + name + ".weight", out, in));
    if (o.mlp_bias) table.push_back(bias(prefix + name + ".bias", {out}));
  };
  project("gate_proj", width, o.hidden_size);
  project("up_proj", width, o.hidden_size);
  project("down_proj", o.hidden_size, width);
}

std::string layer_prefix(std::int64_t layer) { return format("model.layers.{}.", layer); }

bool is_prediction_parameter(const Options& o, const std::string& name) {
  for (std::int64_t depth = 0; depth < o.num_nextn_predict_layers; ++depth) {
    if (name.starts_with(layer_prefix(o.num_hidden_layers + depth))) return true;
  }
  return false;
}

namespace {

void add_block(const Family& family, const Options& o, std::int64_t layer, ParameterTable& table) {
  const std::string prefix = layer_prefix(layer);
  table.push_back(norm(prefix + "input_layernorm.weight", o.hidden_size));
  const std::size_t first = table.size();
  (o.is_mla() ? add_latent_attention : add_attention)(o, prefix + "self_attn.", table);
  count_as(Group::kAttention, first, table);
  table.push_back(norm(prefix + "post_attention_layernorm.weight", o.hidden_size));
  if (o.is_moe_layer(layer))
    add_moe_network(o, family.names, prefix + family.names.block, table);
  else
    add_dense_network(o, prefix + "mlp.", o.intermediate_size, table);
}

void add_prediction(const Family& family, const Options& o, std::int64_t layer,
                    ParameterTable& table) {
  const std::string prefix = layer_prefix(layer);
  table.push_back(norm(prefix + PredictionNames::kEmbeddingNorm, o.hidden_size));
  table.push_back(norm(prefix + PredictionNames::kHiddenNorm, o.hidden_size));
  table.push_back(
      linear(prefix + PredictionNames::kProjection + ".weight", o.hidden_size, 2 * o.hidden_size));
  add_block(family, o, layer, table);
  table.push_back(norm(prefix + PredictionNames::kHeadNorm, o.hidden_size));
}

}  // namespace

ParameterTable decoder_table(const Family& family, const Options& o) {
  ParameterTable table;
  // Each further token that is predicted asks the head once more.
  const double head_flops = 2.0 * static_cast<double>(o.vocab_size) *
                            static_cast<double>(o.hidden_size) *
                            static_cast<double>(1 + o.num_nextn_predict_layers);
  table.push_back({.name = "model.embed_tokens.weight",
                   .shape = {o.vocab_size, o.hidden_size},
                   .group = Group::kEmbedding});
  if (o.tie_word_embeddings) table.back().flops_per_token = head_flops;  // it is the head too
  for (std::int64_t layer = 0; layer < o.num_hidden_layers; ++layer)
    add_block(family, o, layer, table);
  table.push_back(norm("model.norm.weight", o.hidden_size));
  if (!o.tie_word_embeddings) {
    table.push_back(linear("lm_head.weight", o.vocab_size, o.hidden_size));
    table.back().flops_per_token = head_flops;
    table.back().group = Group::kHead;
  }
  for (std::int64_t depth = 0; depth < o.num_nextn_predict_layers; ++depth)
    add_prediction(family, o, o.num_hidden_layers + depth, table);
  for (ParameterInfo& info : table) info.init_std = o.initializer_range;
  return table;
}

}  // namespace moesaic::arch
