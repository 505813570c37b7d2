#include "plan_report.h"

#include <algorithm>
#include <cstdio>
#include <string>
#include <utility>
#include <vector>

#include "arch/cost.h"
#include "config/check.h"
#include "config/recipe_reader.h"
#include "config/silos.h"
#include "config/tasks.h"
#include "config/training_table.h"
#include "core/processor.h"

namespace moesaic::cli {
namespace {

// What the block continual keeps.
void count_remembered(const Recipe& recipe, arch::CostOptions& sizes) {
  const std::string& method = recipe.continual->method;
  sizes.old_model = method == "lwf";
  if (method == "none" || method == "lwf") return;
  const std::int64_t importances = method == "l2" ? 0 : 1;
  // Synaptic Intelligence adds to the path of this task while those before pull.
  sizes.remembered = importances + 1 + (method == "si" ? 1 : 0);
  // Of a weight with an adapter there is no gradient else.
  const std::int64_t path_and_gradient = method == "si" ? 2 : 0;
  sizes.remembered_of_adapted =
      importances + (keeps_anchors_of_changes(recipe) ? 1 : 0) + path_and_gradient;
}

// Of a federation those of one silo.
std::int64_t ranks_of_a_training(const Recipe& recipe) {
  if (!recipe.federated) return recipe.parallel.ranks;
  const SiloSlots slots = silo_slots(silos_of(recipe), static_cast<int>(recipe.parallel.ranks));
  return *std::max_element(slots.ranks.begin(), slots.ranks.end());
}

}  // namespace

arch::CostOptions sizes_of(const Recipe& recipe, const arch::Options& options) {
  arch::CostOptions sizes;
  sizes.ranks = ranks_of_a_training(recipe);
  sizes.expert = recipe.parallel.expert;
  sizes.global_batch_size = recipe.train.global_batch_size;
  sizes.micro_batch_size = recipe.train.micro_batch_size;
  sizes.sequence_length = options.reads_features() ? 1 : recipe.data.sequence_length;
  sizes.master_bytes = recipe.train.precision == "float64" ? 8 : 4;
  sizes.compute_bytes = recipe.train.precision == "bfloat16" ? 2 : sizes.master_bytes;
  const bool no_rounding = recipe.parallel.device != "cpu" || recipe.train.matmul == "mkl";
  sizes.expert_copies = no_rounding || !multiplies_bfloat16_pairs();
  const bool adamw = recipe.optimizer.type == "adamw";
  sizes.optimizer_moments = adamw ? 2 : recipe.optimizer.momentum > 0 ? 1 : 0;
  sizes.shard_optimizer = recipe.parallel.shard_optimizer;
  sizes.host_reduction = recipe.parallel.device == "cpu";
  sizes.whole_scores = recipe.parallel.device == "cuda";
  sizes.async_checkpoint = recipe.checkpoint.async;
  sizes.checkpoint_activations = recipe.train.checkpoint_activations;
  sizes.adapter_dropout =
      recipe.adapt && recipe.adapt->lora && recipe.adapt->lora->lora_dropout > 0;
  sizes.missing_experts =
      recipe.moe.gate_gradient == "dense_mixer" || recipe.moe.diagnose_every > 0;
  if (recipe.continual) count_remembered(recipe, sizes);
  return sizes;
}

std::string scaled(double value) {
  const char* const kPrefixes[] = {"", " k", " M", " G", " T", " P", " E"};
  std::size_t step = 0;
  while (value >= 999.95 && step + 1 < std::size(kPrefixes)) value /= 1000, ++step;
  return step == 0 ? format("{:.0f}", value) : format("{:.4g}{}", value, kPrefixes[step]);
}

std::string scaled_bytes(double bytes) {
  const std::string text = scaled(bytes);
  return text.find(' ') == std::string::npos ? text + " B" : text + "B";
}

namespace {

Json groups_json(const arch::ParameterTable& table) {
  Json groups = Json::array();
  for (const arch::GroupCount& count : arch::count_groups(table)) {
    groups.push_back({{"group", arch::name_of(count.group)},
                      {"parameters", count.parameters},
                      {"trainable", count.trainable}});
  }
  return groups;
}

Json tasks_json(const std::vector<ContinualTask>& tasks) {
  Json list = Json::array();
  for (const ContinualTask& task : tasks)
    list.push_back({{"name", task.name}, {"max_steps", task.max_steps}});
  return list;
}

std::string tasks_text(const std::vector<ContinualTask>& tasks) {
  std::vector<std::string> texts;
  std::int64_t steps = 0;
  for (const ContinualTask& task : tasks) {
    texts.push_back(format("{} ({})", task.name, task.max_steps));
    steps += task.max_steps;
  }
  return format("{}: {} steps", join(texts, " -> "), steps);
}

Json federation_json(const FederatedOptions& federated, std::int64_t ranks) {
  Json silos = Json::array();
  for (const SiloOptions& silo : federated.silos)
    silos.push_back({{"name", silo.name}, {"ranks", silo.ranks}});
  const auto slots =
      static_cast<std::int64_t>(silo_slots(federated.silos, static_cast<int>(ranks)).size());
  const std::int64_t clients = federated.clients_per_round.value_or(std::ssize(federated.silos));
  return {{"silos", silos},
          {"rounds", federated.rounds},
          {"silos_per_round", clients},
          {"silos_at_once", std::min(slots, clients)},
          {"aggregator", federated.aggregator.type}};
}

std::string federation_text(const Json& federation) {
  return format("{} silos, {} rounds of {} by {}, {} at once", federation.at("silos").size(),
                federation.at("rounds").get<std::int64_t>(),
                federation.at("silos_per_round").get<std::int64_t>(),
                federation.at("aggregator").get<std::string>(),
                federation.at("silos_at_once").get<std::int64_t>());
}

}  // namespace

Json plan_json(const Recipe& recipe) {
  const arch::Options options = architecture_of(recipe);
  const arch::ParameterTable table = training_table(recipe, options);
  const arch::CostOptions sizes = sizes_of(recipe, options);
  const arch::Cost cost = arch::cost_of(options, table, sizes);
  Json plan = {{"name", recipe.name},
               {"model_type", options.model_type},
               {"ranks", sizes.ranks},
               {"expert", sizes.expert},
               {"experts_per_rank", options.num_experts / sizes.expert},
               {"parameters", cost.parameters},
               {"active_parameters", cost.active_parameters},
               {"rank_parameters", cost.rank_parameters},
               {"trainable", cost.trainable_parameters},
               {"groups", groups_json(table)},
               {"tokens_per_step", cost.tokens},
               {"micro_batches_per_step", cost.micro_batches},
               {"rounds_per_step", cost.rounds},
               {"flops_per_token", cost.flops_per_token},
               {"flops_per_step", cost.step_flops},
               {"rank_parameter_bytes", cost.parameter_bytes},
               {"rank_gradient_bytes", cost.gradient_bytes},
               {"rank_optimizer_bytes", cost.optimizer_bytes},
               {"rank_remembered_bytes", cost.remembered_bytes},
               {"rank_reduction_bytes", cost.reduction_bytes},
               {"rank_activation_bytes", cost.activation_bytes},
               {"rank_snapshot_bytes", cost.snapshot_bytes},
               {"rank_process_bytes", cost.process_bytes},
               {"rank_memory_bytes", cost.memory_bytes()},
               {"rank_all_reduce_bytes", cost.all_reduce_bytes},
               {"rank_all_to_all_bytes", cost.all_to_all_bytes}};
  if (const auto tasks = tasks_of(recipe); !tasks.empty()) plan["tasks"] = tasks_json(tasks);
  if (recipe.federated)
    plan["federated"] = federation_json(*recipe.federated, recipe.parallel.ranks);
  return plan;
}

void print_plan(const Recipe& recipe) {
  const arch::Options options = architecture_of(recipe);
  const arch::ParameterTable table = training_table(recipe, options);
  const arch::CostOptions sizes = sizes_of(recipe, options);
  const arch::Cost cost = arch::cost_of(options, table, sizes);
  const auto count = [](std::int64_t value) { return scaled(static_cast<double>(value)); };
  const std::string layout =
      options.is_moe() ? format("{} ranks, {} in an expert group, {} experts on each", sizes.ranks,
                                sizes.expert, options.num_experts / sizes.expert)
                       : format("{} ranks", sizes.ranks);
  const char* most = recipe.adapt && recipe.adapt->esft ? "at most " : "";  // as the run chooses
  std::vector<std::pair<std::string, std::string>> rows = {
      {"model", format("{}, {} layers, hidden {}", options.model_type, options.num_hidden_layers,
                       options.hidden_size)},
      {"layout", layout},
      {"parameters", format("{} ({})", cost.parameters, count(cost.parameters))},
      {"  active for a token",
       format("{} ({})", cost.active_parameters, count(cost.active_parameters))},
      {"  on a rank", format("{} ({})", cost.rank_parameters, count(cost.rank_parameters))},
      {"  trained",
       format("{}{} ({})", most, cost.trainable_parameters, count(cost.trainable_parameters))},
      {"tokens a step", format("{}", cost.tokens)},
      {"micro-batches a step", format("{}, in {} rounds", cost.micro_batches, cost.rounds)},
      {"FLOP per token", scaled(cost.flops_per_token) + ", forward and backward"},
      {"FLOP per step", scaled(cost.step_flops) + ", all ranks"},
      {"memory of a rank", scaled_bytes(cost.memory_bytes()) + ", estimated"},
      {"  parameters", scaled_bytes(cost.parameter_bytes)},
      {"  gradients", scaled_bytes(cost.gradient_bytes)},
      {"  optimizer", scaled_bytes(cost.optimizer_bytes)},
      {"  old knowledge", scaled_bytes(cost.remembered_bytes)},
      {"  others' gradients", scaled_bytes(cost.reduction_bytes)},
      {"  activations", scaled_bytes(cost.activation_bytes)},
      {"  snapshot for checkpoints", scaled_bytes(cost.snapshot_bytes)},
      {"  program, libraries", scaled_bytes(cost.process_bytes)},
      {"sent by a rank, a step", scaled_bytes(cost.all_reduce_bytes + cost.all_to_all_bytes)},
      {"  gradients, all-reduce", scaled_bytes(cost.all_reduce_bytes)},
      {"  tokens, all-to-all", scaled_bytes(cost.all_to_all_bytes) + ", when the load is even"}};
  if (const auto tasks = tasks_of(recipe); !tasks.empty())
    rows.insert(rows.begin() + 2, {"tasks", tasks_text(tasks)});
  if (recipe.federated) {
    const Json federation = federation_json(*recipe.federated, recipe.parallel.ranks);
    rows.insert(rows.begin() + 2, {"federation", federation_text(federation)});
  }
  std::puts(recipe.name.c_str());
  for (const auto& [label, value] : rows) std::puts(format("  {:<26} {}", label, value).c_str());
}

}  // namespace moesaic::cli
