// Dense Qwen3 decoder: Llama with a norm on each query and key head. Defaults are those of
// Qwen3Config in Transformers 5.17.
#include "arch/family.h"

namespace moesaic::arch {
namespace {

Options read_qwen3(ConfigReader& reader) {
  Options o;
  o.model_type = "qwen3";
  o.vocab_size = 151936;
  o.hidden_size = 4096;
  o.intermediate_size = 22016;
  o.num_hidden_layers = 32;
  o.num_attention_heads = 32;
  o.num_key_value_heads = 32;
  o.max_position_embeddings = 32768;
  o.qk_norm = QkNorm::kEachHead;
  read_decoder(reader, {.head_dim = 128, .must_divide = false}, o);
  read_attention_bias(reader, o);
  read_sliding_window(reader, true, o);
  return o;
}

void write_qwen3(const Options& o, Json& config) {
  config["head_dim"] = o.head_dim;
  config["attention_bias"] = o.attention_bias;
  config["use_sliding_window"] = false;
}

}  // namespace

const Family kQwen3 = {"qwen3", "Qwen3ForCausalLM", read_qwen3, write_qwen3, {}};

}  // namespace moesaic::arch
