// A multilayer perceptron that classifies rows of features: layers.0, ReLU, layers.1, ... The last
// layer gives a logit for each label. No class of Transformers; without hidden layers it is softmax
// regression.
#include <cmath>

#include "arch/family.h"

namespace moesaic::arch {
namespace {

std::int64_t required_size(ConfigReader& reader, const char* key) {
  if (!reader.has(key)) reader.error(key, "is missing");
  return reader.size(key, 1, kMostWidth);
}

Options read(ConfigReader& reader) {
  Options o;
  o.model_type = "mlp";
  o.input_size = required_size(reader, "input_size");
  o.hidden_sizes = reader.widths("hidden_sizes", kMostWidth, static_cast<std::size_t>(kMostLayers));
  o.vocab_size = required_size(reader, "num_labels");
  o.hidden_size = o.hidden_sizes.empty() ? o.input_size : o.hidden_sizes.back();
  o.num_hidden_layers = std::ssize(o.hidden_sizes);
  o.max_position_embeddings = 1;
  return o;
}

void write(const Options& o, Json& config) {
  config["input_size"] = o.input_size;
  config["hidden_sizes"] = o.hidden_sizes;
  config["num_labels"] = o.vocab_size;
}

// Weights and biases begin as those of PyTorch's nn.Linear: uniform in +-1 / sqrt(in).
void add_layer(std::int64_t layer, std::int64_t out, std::int64_t in, ParameterTable& table) {
  const std::string prefix = format("layers.{}.", layer);
  table.push_back(linear(prefix + "weight", out, in));
  table.push_back(bias(prefix + "bias", {out}));
  for (std::size_t i = table.size() - 2; i < table.size(); ++i) {
    table[i].init = Init::kUniform;
    table[i].init_std = 1.0 / std::sqrt(3.0 * static_cast<double>(in));
  }
}

ParameterTable table_of(const Options& o) {
  ParameterTable table;
  std::int64_t in = o.input_size;
  for (const std::int64_t out : o.hidden_sizes) {
    add_layer(std::ssize(table) / 2, out, in, table);
    in = out;
  }
  const std::size_t head = table.size();
  add_layer(o.num_hidden_layers, o.vocab_size, in, table);
  count_as(Group::kHead, head, table);
  return table;
}

}  // namespace

const Family kMlp = {"mlp", "", read, write, {}, table_of};

}  // namespace moesaic::arch
