#include "arch/arch.h"

#include <algorithm>
#include <array>

#include "arch/family.h"

namespace moesaic::arch {
namespace {

std::array<const Family*, 9> families() {
  return {&kOlmoe,    &kLlama,      &kQwen3,      &kMixtral, &kQwen2Moe,
          &kQwen3Moe, &kDeepseekV2, &kDeepseekV3, &kMlp};
}

const Family* find_family(const std::string& model_type) {
  for (const Family* family : families()) {
    if (model_type == family->model_type) return family;
  }
  return nullptr;
}

const Family& family_of(const Options& options) {
  const Family* family = find_family(options.model_type);
  MOESAIC_ASSERT(family != nullptr);
  return *family;
}

// In double, which cannot overflow here: a table of absurd sizes must not be built.
double count_values(const Options& o) {
  const auto d = [](std::int64_t value) { return static_cast<double>(value); };
  const double heads =
      d(o.num_attention_heads + o.num_key_value_heads) * d(o.query_head_dim() + o.value_head_dim());
  const double latent = d(o.kv_lora_rank + o.q_lora_rank) * (d(o.hidden_size) + heads);
  const double experts = d(o.num_experts) * (3.0 * d(o.moe_intermediate_size) + 1.0);
  const double network = 3.0 * d(o.intermediate_size + o.shared_intermediate_size) + experts;
  const double layer = d(o.hidden_size) * (heads + network) + latent;
  double of_features = 0, in = d(o.input_size);
  for (const std::int64_t out : o.hidden_sizes) {
    of_features += in * d(out);
    in = d(out);
  }
  return layer * d(o.num_hidden_layers) + of_features + 2.0 * d(o.vocab_size) * d(o.hidden_size);
}

Options read_family(const Family& family, ConfigReader& reader) {
  Options options = family.read(reader);
  if (family.is_decoder()) read_own_routing(reader, options);
  return options;
}

bool has_error(const std::vector<Problem>& problems) {
  return std::any_of(problems.begin(), problems.end(), [](const Problem& p) { return !p.warning; });
}

}  // namespace

Options read_options(const Json& config, std::vector<Problem>& problems) {
  if (!config.is_object()) {
    problems.push_back({"", "expected a mapping of the keys of config.json", false});
    return {};
  }
  const auto type = config.find("model_type");
  const std::vector<std::string> types = model_types();
  if (type == config.end()) {
    problems.push_back({"model_type", format("is missing; one of {}", join(types, ", ")), false});
    return {};
  }
  const std::string model_type = type->is_string() ? type->get<std::string>() : "";
  const Family* family = find_family(model_type);
  if (family == nullptr) {
    const std::string near = model_type.size() <= 60 ? nearest(model_type, types) : "";
    problems.push_back(
        {"model_type",
         format("{} is not one of the supported {}{}",
                printable(type->dump(-1, ' ', true, Json::error_handler_t::replace), 60),
                join(types, ", "), near.empty() ? "" : format(" (did you mean '{}'?)", near)),
         false});
    return {};
  }
  std::vector<Problem> found;
  ConfigReader reader(config, found);
  const Options options = read_family(*family, reader);
  if (family->is_decoder()) read_neutral_keys(reader, options);
  reader.refuse_unknown(model_type);
  if (const double values = count_values(options); values > kMostParameters) {
    reader.error("", format("the sizes give {:.2g} parameters, at most {:.0e} are possible", values,
                            kMostParameters));
  }
  problems.insert(problems.end(), found.begin(), found.end());
  return options;
}

Options require_options(const Json& config, const std::string& where) {
  std::vector<Problem> problems;
  Options options = read_options(config, problems);
  if (!has_error(problems)) return options;
  std::vector<std::string> lines;
  for (const Problem& problem : problems) {
    if (problem.warning) continue;
    lines.push_back(
        format("{}: {}{}{}", where, problem.key, problem.key.empty() ? "" : ": ", problem.message));
  }
  throw Error(ErrorKind::kRecipe, format("{}", join(lines, "\n")));
}

Json to_config(const Options& o) {
  const Family& family = family_of(o);
  Json config = Json::object();
  if (!family.is_decoder()) {
    config["model_type"] = o.model_type;
    family.write(o, config);
    return config;
  }
  config["architectures"] = {family.causal_lm_class};
  config["model_type"] = o.model_type;
  write_decoder(o, config);
  family.write(o, config);
  write_own_routing(o, config);
  // The classes' own defaults may lie outside a small vocabulary.
  for (const char* key : {"bos_token_id", "eos_token_id", "pad_token_id"}) config[key] = nullptr;
  return config;
}

ParameterTable parameter_table(const Options& options) {
  const Family& family = family_of(options);
  return family.is_decoder() ? decoder_table(family, options) : family.table(options);
}

const NetworkNames& network_names(const Options& options) { return family_of(options).names; }

std::vector<std::string> model_types() {
  std::vector<std::string> types;
  for (const Family* family : families()) types.emplace_back(family->model_type);
  return types;
}

std::vector<std::string> config_keys(const std::string& model_type) {
  const Family* family = find_family(model_type);
  if (family == nullptr) return {};
  std::vector<Problem> ignored;
  const Json empty = Json::object();
  ConfigReader reader(empty, ignored);
  read_family(*family, reader);
  return {reader.known().begin(), reader.known().end()};
}

}  // namespace moesaic::arch
