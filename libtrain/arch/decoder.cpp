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

}  // namespace

void read_decoder(ConfigReader& reader, const HeadRule& rule, Options& o) {
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
