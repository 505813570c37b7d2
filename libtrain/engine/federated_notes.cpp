#include "engine/federated_notes.h"

#include <ATen/ops/empty.h>

#include <algorithm>
#include <filesystem>
#include <limits>

#include "core/error.h"
#include "engine/secure_values.h"

namespace moesaic {

Json to_json(const SiloAnswer& answer) {
  const aggregate::SiloReport& report = answer.report;
  // Whole numbers: the shortest text of the counts of a model with many experts.
  std::map<std::string, std::vector<std::int64_t>> counts;
  for (const auto& [layer, tokens] : report.routed_tokens)
    for (const double count : tokens) counts[layer].push_back(static_cast<std::int64_t>(count));
  Json json = {{"silo", report.silo},   {"examples", report.examples}, {"tokens", report.tokens},
               {"steps", report.steps}, {"rate_sum", report.rate_sum}, {"routed_tokens", counts},
               {"loss", answer.loss},  // null where it is no number
               {"bytes", answer.bytes}};
  if (answer.epsilon) json["epsilon"] = *answer.epsilon;
  return json;
}

SiloAnswer answer_from(const Json& json) {
  try {
    const Json& loss = json.at("loss");
    const Json& bytes = json.at("bytes");
    std::optional<double> epsilon;
    if (json.contains("epsilon")) epsilon = json.at("epsilon").get<double>();
    return {
        .report = {.silo = json.at("silo").get<std::string>(),
                   .examples = json.at("examples").get<double>(),
                   .tokens = json.at("tokens").get<double>(),
                   .steps = json.at("steps").get<double>(),
                   .rate_sum = json.at("rate_sum").get<double>(),
                   .routed_tokens =
                       json.at("routed_tokens").get<std::map<std::string, std::vector<double>>>()},
        .loss = loss.is_number() ? loss.get<double>() : std::numeric_limits<double>::quiet_NaN(),
        .bytes = bytes.is_number_integer() ? bytes.get<std::int64_t>() : -1,
        .epsilon = epsilon};
  } catch (const Json::exception& error) {
    throw Error(ErrorKind::kData, format("no answer of a silo: {}", json_reason(error.what())));
  }
}

// How much a round in epochs, or in private, has is the silo's to know.
void require_possible(const Recipe& recipe, const SiloAnswer& answer) {
  constexpr double kMost = 9007199254740992;  // 2^53, up to which numbers can be counted
  const aggregate::SiloReport& report = answer.report;
  const bool is_known = !recipe.federated->local_epochs && !recipe.privacy;
  const double examples = is_known ? most_examples_of(recipe) : kMost;
  const double tokens = is_known ? most_tokens_of(recipe) : kMost;
  MOESAIC_CHECK(report.examples <= examples && report.tokens <= tokens, ErrorKind::kData,
                "silo {} says that it has trained on {} examples and {} targets in a round, which "
                "has {} and {} at most",
                report.silo, report.examples, report.tokens, examples, tokens);
  MOESAIC_CHECK(
      report.steps <= kMost && report.rate_sum <= kMost && answer.bytes >= 0, ErrorKind::kData,
      "silo {} says that its round had {} steps, rates of {} in all, and a change of {} bytes",
      report.silo, report.steps, report.rate_sum, answer.bytes);
}

StateEntry server_entry(const std::string& name, const std::vector<double>& values) {
  const auto size = static_cast<std::int64_t>(values.size());
  const at::Tensor tensor = at::empty({size}, at::kDouble);
  std::copy(values.begin(), values.end(), tensor.mutable_data_ptr<double>());
  return {.name = "server/" + name, .tensor = tensor, .global_shape = {size}, .exact = true};
}

std::vector<double> values_of(const StateEntry& entry) {
  const double* first = entry.tensor.const_data_ptr<double>();
  return {first, first + entry.tensor.numel()};
}

FederatedNotes FederatedNotes::of(const CheckpointInfo& info) {
  const Json notes = info.manifest.value("training", Json::object());
  const auto require = [&](bool good) {
    MOESAIC_CHECK(good, ErrorKind::kCheckpoint,
                  "{} is of no federated run: its manifest says nothing of silos and server",
                  info.path);
  };
  require(notes.is_object() && notes.contains("recipe") && notes["recipe"].is_string());
  require(notes.contains("tokens") && notes["tokens"].is_number_integer());
  require(notes.contains("silos") && notes["silos"].is_object());
  require(notes.contains("server") && notes["server"].is_object());
  FederatedNotes found{
      .recipe = notes["recipe"], .tokens = notes["tokens"], .silos = notes["silos"]};
  const Json datasets = info.manifest.value("datasets", Json::object());
  for (const auto& [name, size] : notes["server"].items()) {
    require(size.is_number_unsigned() && datasets.contains("server/" + name));
    // So many digests: a size that nobody has written takes no memory.
    const auto blocks = static_cast<std::uint64_t>(datasets["server/" + name].size());
    require(size.get<std::uint64_t>() <= blocks * 4096);
    found.server[name] = size.get<std::size_t>();
  }
  return found;
}

void require_own_folder(const CheckpointInfo& info, const std::string& run_dir) {
  namespace fs = std::filesystem;
  const fs::path folder = fs::weakly_canonical(info.path).parent_path().parent_path();
  if (folder == fs::weakly_canonical(run_dir)) return;
  throw Error(ErrorKind::kRecipe,
              format("{} is of the run in {}, and what its silos keep is there", info.path,
                     folder.string()),
              "go on in that folder with run_dir, or start a new run from its weights with "
              "model.from");
}

}  // namespace moesaic
