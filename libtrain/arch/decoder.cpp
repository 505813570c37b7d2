// The keys of config.json that the families share.
#include <algorithm>

#include "arch/family.h"

namespace moesaic::arch {
namespace {

void check_heads(ConfigReader& reader, const HeadRule& rule, const Options& o) {
  const std::int64_t even = o.hidden_size / o.num_attention_heads;
  if (rule.must_divide && o.hidden_size % o.num_attention_heads != 0) {
    reader.error("num_attention_heads", format("{} heads do not divide hidden_size {}",
                                               o.num_attention_heads, o.hidden_size));
  } else if (o.is_mla()) {
    if (o.num_key_value_heads != o.num_attention_heads)
      reader.error("num_key_value_heads", "latent attention has a key and value for every head");
  } else if (!rule.configurable && o.head_dim != even) {
    reader.error("head_dim", format("is {}; a head of {} is hidden_size / num_attention_heads = {} "
                                    "wide",
                                    o.head_dim, o.model_type, even));
  } else if (o.head_dim % 2 != 0) {
    reader.error("head_dim",
                 format("is {}; rotary embedding needs an even head width", o.head_dim));
  }
  if (o.num_attention_heads % o.num_key_value_heads != 0) {
    reader.error("num_key_value_heads",
                 format("{} key/value heads do not divide {} attention heads",
                        o.num_key_value_heads, o.num_attention_heads));
  }
}

void accept_without_effect(ConfigReader& reader) {
  reader.accept({"model_type",
                 "architectures",
                 "torch_dtype",
                 "dtype",
                 "transformers_version",
                 "bos_token_id",
                 "eos_token_id",
                 "pad_token_id",
                 "use_cache",
                 "output_router_logits",
                 "output_attentions",
                 "output_hidden_states",
                 "return_dict",
                 "use_return_dict",
                 "_name_or_path",
                 "name_or_path",
                 "auto_map",
                 "id2label",
                 "label2id",
                 "problem_type",
                 "_attn_implementation",
                 "attn_implementation",
                 "experts_implementation",
                 "_experts_implementation",
                 "_commit_hash",
                 "tokenizer_class",
                 "is_decoder",
                 "tie_encoder_decoder",
                 "torchscript",
                 "_flash_attn_2_enabled",
                 "unsloth_version",
                 "model_max_length"});
}

void refuse_other_mathematics(ConfigReader& reader) {
  reader.only("hidden_act", {"silu", "swish"}, "only silu is");
  reader.only("attention_dropout", {0, 0.0}, "dropout is not part of this version");
  reader.only("attn_pdrop", {0, 0.0}, "dropout is not part of this version");
  reader.only("resid_pdrop", {0, 0.0}, "dropout is not part of this version");
  reader.only("embd_pdrop", {0, 0.0}, "dropout is not part of this version");
  reader.only("hidden_dropout", {0, 0.0}, "dropout is not part of this version");
  reader.only("per_layer_config", {}, "all layers are alike");
  reader.only("partial_rotary_factor", {1, 1.0}, "the whole head is rotated");
  reader.only("pretraining_tp", {1}, "weights are read as one piece");
  reader.only("chunk_size_feed_forward", {0}, "the MLP runs in one piece");
  reader.only("is_encoder_decoder", {false}, "only decoders are");
  reader.only("quantization_config", {}, "only plain weights are");
}

}  // namespace

void read_decoder(ConfigReader& reader, const HeadRule& rule, Options& o) {
  accept_without_effect(reader);
  refuse_other_mathematics(reader);
  o.vocab_size = reader.size("vocab_size", o.vocab_size, kMostWidth);
  o.hidden_size = reader.size("hidden_size", o.hidden_size, kMostWidth);
  o.intermediate_size = reader.size("intermediate_size", o.intermediate_size, kMostWidth);
  o.num_hidden_layers = reader.size("num_hidden_layers", o.num_hidden_layers, kMostLayers);
  o.num_attention_heads = reader.size("num_attention_heads", o.num_attention_heads, kMostWidth);
  // null, or a class without a default of its own: as many as attention heads.
  const bool absent = !reader.json().contains("num_key_value_heads");
  const bool own = absent && o.num_key_value_heads > 0;
  o.num_key_value_heads = reader.size(
      "num_key_value_heads", own ? o.num_key_value_heads : o.num_attention_heads, kMostWidth);
  o.max_position_embeddings =
      reader.size("max_position_embeddings", o.max_position_embeddings, std::int64_t{1} << 40);
  o.rms_norm_eps = reader.positive("rms_norm_eps", o.rms_norm_eps);
  o.initializer_range = reader.number("initializer_range", o.initializer_range, 0.0, 1.0);
  o.tie_word_embeddings = reader.flag("tie_word_embeddings", o.tie_word_embeddings);
  if (!o.is_mla()) {
    const std::int64_t even = std::max<std::int64_t>(1, o.hidden_size / o.num_attention_heads);
    o.head_dim = reader.size("head_dim", rule.head_dim > 0 ? rule.head_dim : even, kMostWidth);
  }
  check_heads(reader, rule, o);
  o.rope = read_rope(reader, o.rope, o.max_position_embeddings, o.rotary_dim());
}

void read_attention_bias(ConfigReader& reader, Options& o) {
  o.attention_bias = o.output_bias = reader.flag("attention_bias", false);
}

void write_decoder(const Options& o, Json& config) {
  config["vocab_size"] = o.vocab_size;
  config["hidden_size"] = o.hidden_size;
  config["intermediate_size"] = o.intermediate_size;
  config["num_hidden_layers"] = o.num_hidden_layers;
  config["num_attention_heads"] = o.num_attention_heads;
  config["num_key_value_heads"] = o.num_key_value_heads;
  config["hidden_act"] = "silu";
  config["max_position_embeddings"] = o.max_position_embeddings;
  config["initializer_range"] = o.initializer_range;
  config["rms_norm_eps"] = o.rms_norm_eps;
  write_rope(o.rope, config);
  config["tie_word_embeddings"] = o.tie_word_embeddings;
  config["attention_dropout"] = 0.0;
}

}  // namespace moesaic::arch
