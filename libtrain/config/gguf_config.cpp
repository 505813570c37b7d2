#include "config/gguf_config.h"

#include "core/format.h"

namespace moesaic {
namespace {

class Keys {
 public:
  explicit Keys(const GgufHeader& header)
      : header_(header), architecture_(header.text("general.architecture").value_or("")) {}

  const std::string& architecture() const { return architecture_; }
  std::string name(const char* key) const { return architecture_ + "." + key; }
  std::optional<std::int64_t> integer(const char* key) const { return header_.integer(name(key)); }
  std::optional<double> number(const char* key) const { return header_.number(name(key)); }
  std::int64_t required(const char* key) const {
    const auto value = integer(key);
    if (!value)
      throw Error(ErrorKind::kCheckpoint, format("{}: there is no {}", header_.where, name(key)));
    return *value;
  }
  [[noreturn]] void refuse(const std::string& what) const {
    throw Error(ErrorKind::kCheckpoint, format("{}: {}", header_.where, what),
                "use the Hugging Face folder of the model");
  }

 private:
  const GgufHeader& header_;
  std::string architecture_;
};

std::string model_type(const Keys& keys) {
  const std::string& name = keys.architecture();
  if (name == "llama") return keys.integer("expert_count").value_or(0) > 0 ? "mixtral" : "llama";
  if (name == "qwen3" || name == "olmoe") return name;
  if (name == "qwen2moe") return "qwen2_moe";
  if (name == "qwen3moe") return "qwen3_moe";
  keys.refuse(
      format("the architecture is '{}'; llama, qwen3, qwen2moe, qwen3moe and olmoe are read",
             printable(name)));
}

void add_rotary(const GgufHeader& header, const Keys& keys, std::int64_t head_dim, Json& config) {
  const auto rotated = keys.integer("rope.dimension_count").value_or(head_dim);
  if (rotated != head_dim)
    keys.refuse(format("{} of {} dimensions of a head are rotated", rotated, head_dim));
  if (header.find("rope_freqs.weight") != nullptr)
    keys.refuse("rope_freqs.weight (Llama 3.1's rotary scaling) is not read");
  Json rope = {{"rope_type", "default"},
               {"rope_theta", keys.number("rope.freq_base").value_or(10000.0)}};
  const auto scaling = header.text(keys.name("rope.scaling.type")).value_or("none");
  if (scaling == "linear") {
    rope["rope_type"] = "linear";
    rope["factor"] = keys.number("rope.scaling.factor").value_or(1.0);
  } else if (scaling != "none") {
    keys.refuse(format("rotary scaling '{}' is not read", printable(scaling)));
  }
  config["rope_parameters"] = rope;
}

void add_experts(const Keys& keys, Json& config) {
  const std::string type = config["model_type"];
  const std::int64_t experts = keys.required("expert_count");
  config[type == "mixtral" ? "num_local_experts" : "num_experts"] = experts;
  config["num_experts_per_tok"] = keys.required("expert_used_count");
  const auto width = keys.integer("expert_feed_forward_length");
  if (type == "qwen2_moe" || type == "qwen3_moe") {
    config["moe_intermediate_size"] = width ? *width : keys.required("feed_forward_length");
    config["norm_topk_prob"] = type == "qwen3_moe";  // the file does not say; these families' own
  } else if (width) {
    config["intermediate_size"] = *width;
  }
  const auto shared = keys.integer("expert_shared_feed_forward_length");
  if (type == "qwen2_moe" && shared) config["shared_expert_intermediate_size"] = *shared;
}

// A part knows its tensors, and the first alone the rest.
void refuse_part(const GgufHeader& header) {
  const std::int64_t parts = header.integer("split.count").value_or(0);
  if (parts <= 1) return;
  throw Error(ErrorKind::kCheckpoint,
              format("{} is part {} of {} of a model", header.where,
                     header.integer("split.no").value_or(0) + 1, parts),
              "join the parts first: llama-gguf-split --merge FIRST_PART WHOLE.gguf");
}

void add_token_ids(const GgufHeader& header, Json& config) {
  for (const char* const name : {"bos", "eos"}) {
    const auto id = header.integer(format("tokenizer.ggml.{}_token_id", name));
    config[format("{}_token_id", name)] = id ? Json(*id) : Json(nullptr);
  }
}

}  // namespace

Json gguf_config(const GgufHeader& header) {
  const Keys keys(header);
  refuse_part(header);
  const GgufTensor* const embedding = header.find("token_embd.weight");
  if (embedding == nullptr || embedding->shape.size() != 2)
    keys.refuse("there is no token_embd.weight");
  Json config = {{"model_type", model_type(keys)}};
  const std::int64_t width = keys.required("embedding_length"),
                     heads = keys.required("attention.head_count");
  if (heads < 1) keys.refuse("attention.head_count must be positive");
  const std::int64_t head_dim = keys.integer("attention.key_length").value_or(width / heads);
  config["vocab_size"] = embedding->shape[0];
  config["hidden_size"] = width;
  config["num_hidden_layers"] = keys.required("block_count");
  config["num_attention_heads"] = heads;
  config["num_key_value_heads"] = keys.integer("attention.head_count_kv").value_or(heads);
  if (config["model_type"] != "olmoe" && config["model_type"] != "qwen2_moe")
    config["head_dim"] = head_dim;
  if (const auto inner = keys.integer("feed_forward_length")) config["intermediate_size"] = *inner;
  config["max_position_embeddings"] = keys.required("context_length");
  config["rms_norm_eps"] = keys.number("attention.layer_norm_rms_epsilon").value_or(1e-5);
  config["tie_word_embeddings"] = header.find("output.weight") == nullptr;
  if (config["model_type"] == "llama")
    config["attention_bias"] = header.find("blk.0.attn_q.bias") != nullptr;
  add_rotary(header, keys, head_dim, config);
  if (keys.integer("expert_count").value_or(0) > 0) add_experts(keys, config);
  add_token_ids(header, config);
  return config;
}

}  // namespace moesaic
