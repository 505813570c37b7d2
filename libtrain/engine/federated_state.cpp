#include "engine/federated_state.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <string>

#include "config/lora_targets.h"
#include "config/name_pattern.h"
#include "config/recipe_reader.h"
#include "config/silos.h"
#include "config/training_table.h"
#include "core/error.h"
#include "core/memory.h"
#include "engine/open_data.h"
#include "engine/resume_check.h"
#include "engine/saved_state.h"
#include "store/agreement.h"

namespace moesaic {
namespace {

// Which ranks train a silo may change from job to job.
Recipe without_layout(Recipe recipe) {
  if (!recipe.federated) return recipe;
  for (SiloOptions& silo : recipe.federated->silos) silo.ranks = 1;
  return recipe;
}

}  // namespace

RoundModel::KindOf kinds_of(const Recipe& recipe, const ParameterSet& parameters) {
  std::vector<NamePattern> patterns;
  for (const std::string& text : recipe.federated->aggregator.private_names)
    patterns.emplace_back("federated.aggregator.private", text);
  const auto matches = [](const NamePattern& pattern, const std::string& name) {
    const auto names = names_in_patterns(name);
    return std::any_of(names.begin(), names.end(),
                       [&](const std::string& one) { return pattern.matches(one); });
  };
  for (const NamePattern& pattern : patterns) {
    if (std::none_of(parameters.begin(), parameters.end(),
                     [&](const Parameter& p) { return matches(pattern, p.name); }))
      throw KeyError("federated.aggregator.private",
                     format("'{}' matches no parameter", pattern.text()));
  }
  const auto is_own = [patterns, matches](const Parameter& p) {
    return std::any_of(patterns.begin(), patterns.end(),
                       [&](const NamePattern& pattern) { return matches(pattern, p.name); });
  };
  for (const Parameter& p : parameters) {
    if (!is_moved_base(recipe, p)) continue;
    if (is_own(*parameters.find(lora_a_name(p.name))) !=
        is_own(*parameters.find(lora_b_name(p.name))))
      throw KeyError("federated.aggregator.private",
                     format("names one factor of the adapter of {}: with aggregator.lora {} name "
                            "both or none",
                            p.name, recipe.federated->aggregator.lora));
  }
  return [&recipe, is_own](const Parameter& p) {
    using Kind = RoundModel::Kind;
    if (is_moved_base(recipe, p)) return Kind::kBase;
    if (!is_saved(recipe, p) || !(p.trainable || p.correction_bias)) return Kind::kFixed;
    return is_own(p) ? Kind::kPrivate : Kind::kShared;
  };
}

std::unique_ptr<EvalData> open_validation(const Recipe& recipe, const RankContext& world) {
  const Recipe evaluated = evaluation_recipe(recipe);
  if (evaluated.data.valid.empty()) return nullptr;
  const auto tokenizer = make_tokenizer(recipe.tokenizer);
  return open_data(evaluated, architecture_of(recipe), *tokenizer, world).valid;
}

CheckpointContent content_of(const Recipe& recipe, const TrainingParts& parts,
                             const aggregate::ServerState& server, const FederatedState& state) {
  CheckpointContent content;
  content.model = on_host(saved_part(recipe, *parts.parameters));
  content.config = parts.config;
  content.base = parts.base;
  content.tokenizer = parts.tokenizer;
  content.hub = parts.origin;
  content.training = {{"step", state.round}, {"tokens", state.tokens}, {"recipe", to_yaml(recipe)}};
  content.training["silos"] = state.data;
  Json& sizes = content.training["server"] = Json::object();
  for (const auto& [name, values] : server) {
    sizes[name] = values.size();
    content.state.push_back(server_entry(name, values));
  }
  return content;
}

FederatedState load_federation(const Recipe& recipe, const RankContext& world,
                               const CheckpointInfo& info, TrainingParts& parts,
                               aggregate::ServerState& server) {
  const FederatedNotes notes = FederatedNotes::of(info);
  check_resumable(without_layout(recipe_from_yaml(notes.recipe, info.path)), without_layout(recipe),
                  info.path);
  agreed(world.world, "resume: folder", [&] {
    if (world.is_chief()) require_own_folder(info, recipe.run_dir);
  });
  CheckpointContent saved;
  saved.model = on_host(saved_part(recipe, *parts.parameters));
  for (const auto& [name, size] : notes.server)
    saved.state.push_back(server_entry(name, std::vector<double>(size)));
  CheckpointStore::load(world, info, saved);
  copy_back(saved.model, saved_part(recipe, *parts.parameters));
  std::size_t place = 0;
  for (const auto& [name, size] : notes.server) server[name] = values_of(saved.state[place++]);
  parts.computation.weights.invalidate();
  parts.origin = CheckpointStore::origin(world, info);
  return {.round = info.step, .tokens = notes.tokens, .data = notes.silos};
}

MetricsRow row_of_round(const FederatedState& state, const std::vector<SiloAnswer>& answers,
                        const std::optional<Validation>& valid, double seconds) {
  MetricsRow row;
  row.step = state.round;
  row.set("round", static_cast<double>(state.round));
  if (state.tokens > 0) row.set("tokens", static_cast<double>(state.tokens));
  double loss = 0, tokens = 0, bytes = 0;
  std::optional<double> epsilon;
  for (const SiloAnswer& answer : answers) {
    bytes += static_cast<double>(answer.bytes);
    loss += answer.loss * answer.report.tokens;
    tokens += answer.report.tokens;
    if (answer.epsilon) epsilon = std::max(epsilon.value_or(0), *answer.epsilon);
  }
  if (tokens > 0 && std::isfinite(loss)) row.set("loss", loss / tokens);
  for (const SiloAnswer& answer : answers) {
    if (std::isfinite(answer.loss))
      row.set(format("silo_{}_loss", answer.report.silo), answer.loss);
  }
  if (epsilon) row.set("epsilon", *epsilon);  // data of different silos do not add up
  if (valid) {
    row.set("valid_loss", valid->loss);
    if (valid->accuracy) row.set("valid_accuracy", *valid->accuracy);
  }
  row.set("change_bytes", bytes);
  if (seconds > 0 && tokens > 0) row.set("tokens_per_s", tokens / seconds);
  if (seconds > 0) row.set("step_s", seconds);
  row.set("memory_peak_mb", peak_memory_mb());
  return row;
}

}  // namespace moesaic
