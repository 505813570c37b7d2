#include "plan_matrix.h"

#include <cstdio>
#include <utility>

#include "arch/layout_search.h"
#include "config/recipe_reader.h"
#include "config/training_table.h"
#include "core/error.h"
#include "plan_report.h"

namespace moesaic::cli {
namespace {

// Training in one of the ways: the recipe with another block adapt.
struct Way {
  std::string name;
  Recipe recipe;
  arch::ParameterTable table;
};

// Adapters as the recipe has them, on frozen matrices in `base`.
AdaptOptions with_adapters_on(const Recipe& recipe, const std::string& base) {
  LoraOptions lora;
  if (recipe.adapt && recipe.adapt->lora) lora = *recipe.adapt->lora;
  lora.base = base;
  AdaptOptions adapt;
  adapt.lora = std::move(lora);
  return adapt;
}

std::vector<Way> ways_of(const Recipe& recipe, const arch::Options& options) {
  std::vector<Way> ways;
  for (const std::string name : {"full", "lora", "nf4"}) {
    Recipe way = recipe;
    way.federated.reset();  // the devices of one training
    way.adapt.reset();
    if (name != "full") way.adapt = with_adapters_on(recipe, name == "lora" ? "bfloat16" : "nf4");
    const arch::ParameterTable table = training_table(way, options);
    ways.push_back({name, std::move(way), table});
  }
  return ways;
}

Json row_json(const arch::Device& device, const std::string& way, const arch::Layout& layout) {
  Json row = {{"device", device.name},
              {"way", way},
              {"fits", layout.fits()},
              {"devices", layout.ranks},
              {"data", layout.data()},
              {"expert", layout.expert},
              {"shard_optimizer", layout.shard_optimizer},
              {"checkpoint_activations", layout.checkpoint_activations},
              {"rank_memory_bytes", layout.cost.memory_bytes()},
              {"usable_memory_bytes", device.usable_bytes()}};
  if (!layout.fits()) {
    row["missing_bytes"] = layout.missing_bytes;
    return row;
  }
  row["step_s"] = layout.time.total();
  row["products_s"] = layout.time.products;
  row["memory_s"] = layout.time.memory;
  row["exposed_s"] = layout.time.exposed;
  row["tokens_per_s"] = layout.tokens_per_s;
  return row;
}

std::string layout_text(const Json& row) {
  std::string text =
      format("{} x {}", row.at("data").get<std::int64_t>(), row.at("expert").get<std::int64_t>());
  if (row.at("shard_optimizer").get<bool>()) text += ", sharded";
  if (row.at("checkpoint_activations").get<bool>()) text += ", recomputed";
  return text;
}

std::string row_text(const Json& row) {
  const std::string held =
      format("{} of {}", scaled_bytes(row.at("rank_memory_bytes").get<double>()),
             scaled_bytes(row.at("usable_memory_bytes").get<double>()));
  const auto count = row.at("devices").get<std::int64_t>();
  std::string devices = "-", layout = "fits on no number", predicted;
  if (row.at("fits").get<bool>()) {
    devices = format("{}", count), layout = layout_text(row);
    predicted = scaled(row.at("tokens_per_s").get<double>()) + " tokens/s";
  } else {
    predicted = format("{} a device too much on {}",
                       scaled_bytes(row.at("missing_bytes").get<double>()), count);
  }
  return format("  {:<18} {:<10} {:>7}  {:<28} {:>22}  {}", row.at("device").get<std::string>(),
                row.at("way").get<std::string>(), devices, layout, held, predicted);
}

}  // namespace

Json matrix_json(const Recipe& recipe, const std::vector<arch::Device>& devices) {
  const arch::Options options = architecture_of(recipe);
  MOESAIC_CHECK(!options.reads_features(), ErrorKind::kUsage,
                "--matrix is for language models, and {} is one of features", recipe.name);
  const std::vector<Way> ways = ways_of(recipe, options);
  const arch::CostOptions sizes = sizes_of(ways[0].recipe, options);
  const arch::GenerationSizes writing{.sequence_length = sizes.sequence_length,
                                      .compute_bytes = sizes.compute_bytes};
  const arch::ParameterTable model = arch::parameter_table(options);
  const bool may_shard = recipe.moe.placement != "balanced";
  Json rows = Json::array();
  for (const arch::Device& device : devices) {
    for (const Way& way : ways) {
      rows.push_back(
          row_json(device, way.name,
                   arch::least_training(options, way.table, sizes_of(way.recipe, options), device,
                                        may_shard)));
    }
    rows.push_back(
        row_json(device, "inference", arch::least_generation(options, model, writing, device)));
  }
  const arch::Cost cost = arch::cost_of(options, model, {});
  return {{"name", recipe.name},
          {"model_type", options.model_type},
          {"parameters", cost.parameters},
          {"active_parameters", cost.active_parameters},
          {"precision", recipe.train.precision},
          {"sequence_length", sizes.sequence_length},
          {"global_batch_size", sizes.global_batch_size},
          {"micro_batch_size", sizes.micro_batch_size},
          {"rows", rows}};
}

void print_matrix(const Json& matrix) {
  const auto text = [&](const char* key) { return matrix.at(key).get<std::string>(); };
  const auto size = [&](const char* key) { return matrix.at(key).get<std::int64_t>(); };
  const auto count = [&](const char* key) { return scaled(matrix.at(key).get<double>()); };
  const std::vector<std::string> lines = {
      format("{}: {}, {} parameters, {} for a token", text("name"), text("model_type"),
             count("parameters"), count("active_parameters")),
      format("{}, sequences of {} tokens, {} in a step, {} in a micro-batch", text("precision"),
             size("sequence_length"), size("global_batch_size"), size("micro_batch_size")),
      format("  {:<18} {:<10} {:>7}  {:<28} {:>22}  {}", "device", "way", "devices",
             "data x expert", "memory a device", "predicted")};
  for (const std::string& line : lines) std::puts(line.c_str());
  for (const Json& row : matrix.at("rows")) std::puts(row_text(row).c_str());
}

}  // namespace moesaic::cli
