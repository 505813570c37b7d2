// Dense Llama decoder. Defaults are those of LlamaConfig in Transformers 5.17.
#include "arch/family.h"

namespace moesaic::arch {
namespace {

Options defaults() {
  Options o;
  o.model_type = "llama";
  o.vocab_size = 32000;
  o.hidden_size = 4096;
  o.intermediate_size = 11008;
  o.num_hidden_layers = 32;
  o.num_attention_heads = 32;
  o.max_position_embeddings = 2048;
  o.rms_norm_eps = 1e-6;
  return o;
}

Options read(ConfigReader& reader) {
  Options o = defaults();
  read_decoder(reader, o);
  o.mlp_bias = reader.flag("mlp_bias", o.mlp_bias);
  return o;
}

void write(const Options& o, Json& config) {
  config["head_dim"] = o.head_dim;
  config["mlp_bias"] = o.mlp_bias;
  config["pretraining_tp"] = 1;
}

void mlp(const Options& o, const std::string& prefix, std::vector<ParameterInfo>& table) {
  const auto project = [&](const char* name, std::int64_t out, std::int64_t in) {
    table.push_back(linear(prefix + name + ".weight", out, in));
    if (o.mlp_bias) table.push_back(bias(prefix + name + ".bias", {out}));
  };
  project("gate_proj", o.intermediate_size, o.hidden_size);
  project("up_proj", o.intermediate_size, o.hidden_size);
  project("down_proj", o.hidden_size, o.intermediate_size);
}

}  // namespace

const Family kLlama = {"llama", "LlamaForCausalLM", read, write, mlp};

}  // namespace moesaic::arch
