// Dense Llama decoder (also SmolLM2). Defaults are those of LlamaConfig in Transformers 5.17.
#include "arch/family.h"

namespace moesaic::arch {
namespace {

Options read_llama(ConfigReader& reader) {
  Options o;
  o.model_type = "llama";
  o.vocab_size = 32000;
  o.hidden_size = 4096;
  o.intermediate_size = 11008;
  o.num_hidden_layers = 32;
  o.num_attention_heads = 32;
  o.max_position_embeddings = 2048;
  read_decoder(reader, {}, o);
  read_attention_bias(reader, o);
  o.mlp_bias = reader.flag("mlp_bias", o.mlp_bias);
  reader.accept({"is_llama_config"});  // left by the trainer that wrote some
  return o;
}

void write_llama(const Options& o, Json& config) {
  config["head_dim"] = o.head_dim;
  config["attention_bias"] = o.attention_bias;
  config["mlp_bias"] = o.mlp_bias;
  config["pretraining_tp"] = 1;
}

}  // namespace

const Family kLlama = {"llama", "LlamaForCausalLM", read_llama, write_llama, {}};

}  // namespace moesaic::arch
