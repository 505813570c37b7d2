#include "engine/silo_training.h"

#include <algorithm>
#include <exception>
#include <limits>
#include <utility>

#include "config/silos.h"
#include "core/error.h"
#include "engine/make_tasks.h"
#include "engine/saved_state.h"
#include "engine/secure_values.h"
#include "engine/silo_privacy.h"
#include "federated/proximal.h"
#include "store/agreement.h"
#include "store/checkpoint_folder.h"

namespace moesaic {
namespace {

// The newest save of a silo that is not after `round`; "" where there is none. Collective.
std::string saved_silo(const RankContext& context, const std::string& folder, std::int64_t round) {
  std::string path;
  agreed(context.world, "silo: list", [&] {
    if (!context.is_chief()) return;
    std::int64_t newest = 0;
    for (const FoundCheckpoint& found : list_checkpoints(folder)) {
      if (found.step <= newest || found.step > round) continue;
      newest = found.step;
      path = found.path;
    }
  });
  return context.world.broadcast(path, 0, "silo: path");
}

}  // namespace

std::int64_t bytes_on_the_way(const Recipe& recipe, const Parameter& parameter) {
  const std::int64_t values = parameter.numel();
  if (is_secure(recipe)) return 4 * static_cast<std::int64_t>(sums_of(recipe)) * values;
  const aggregate::Compression way = compression_of(*recipe.federated);
  if (way.type == "none")
    return values * static_cast<std::int64_t>(parameter.tensor.element_size());
  return static_cast<std::int64_t>(
      aggregate::compressed_size(way, static_cast<std::size_t>(values)));
}

SiloTraining::SiloTraining(const Recipe& recipe, std::size_t silo, const RankContext& context,
                           const RoundModel& model, TrainingParts parts)
    : recipe_(recipe),
      silo_(silo),
      name_(silos_of(recipe).at(silo).name),
      context_(context),
      model_(model),
      parts_(std::make_unique<TrainingParts>(std::move(parts))),
      trainer_(context, *parts_) {
  const FederatedOptions& federated = *recipe.federated;
  const std::int64_t steps = parts_->max_steps;
  MOESAIC_CHECK(federated.rounds <= std::numeric_limits<std::int64_t>::max() / steps,
                ErrorKind::kRecipe, "{} rounds of {} steps are more than can be counted",
                federated.rounds, steps);
  parts_->schedule = make_schedule(recipe, federated.rounds * steps, std::nullopt);
  if (federated.optimizer_state == "reset")
    parts_->optimizer = numbered_by_round(std::move(parts_->optimizer), steps);
  const auto add_first = [this](std::unique_ptr<GradientTransform> transform) {
    parts_->transforms.insert(parts_->transforms.begin(), std::move(transform));
  };
  if (federated.aggregator.type == "fedprox")
    add_first(std::make_unique<Proximal>(model, federated.aggregator.mu));
  if (federated.aggregator.type == "scaffold") {
    auto controls = std::make_unique<ControlVariates>(*parts_->parameters, model);
    controls_ = controls.get();
    add_first(std::move(controls));
  }
  if (federated.aggregator.experts == "routed_tokens") {
    auto routed = std::make_unique<RoutedTokens>();
    routed_ = routed.get();
    parts_->around.push_back(std::move(routed));
  }
  const aggregate::Compression way = compression_of(federated);
  if (way.type != "none") compressed_.emplace(way, *parts_->parameters, model);
  if (silos_add_noise(recipe))
    noised_.emplace(private_sum_of(federated),
                    key_of_silo_noise(context.world, *federated.privacy, name_), model);
  for (const RoundModel::Entry& entry : model.own()) private_.push_back(entry.tensor.clone());
}

SiloTraining::Round SiloTraining::train(std::int64_t round, const aggregate::ServerState& server,
                                        StopSignal& stop) {
  begin_round(server);
  Round result{.report = {.silo = name_}};
  const std::int64_t steps = parts_->max_steps;
  std::int64_t done = 0;
  for (std::int64_t i = 1; i <= steps; ++i) {
    const std::int64_t number = (round - 1) * steps + i;
    for (const auto& part : parts_->around) {
      if (const std::exception_ptr refusal = part->admit(context_, number))
        std::rethrow_exception(refusal);
    }
    const StepReport report =
        trainer_.step(number, {.stop = stop.requested(), .logged = i == steps});
    MOESAIC_ASSERT(!report.rewind);
    parts_->saver->before_change();
    for (const auto& part : parts_->around) part->finished(context_, report.step);
    result.stopped = report.stop;
    if (report.stop) return result;
    if (report.skipped) continue;
    ++done;
    result.loss += report.losses.at(0).second;
    result.report.examples += static_cast<double>(recipe_.train.global_batch_size);
    result.report.tokens += static_cast<double>(report.step.size.target_tokens);
    result.report.rate_sum += report.step.learning_rate;
  }
  const auto count = static_cast<double>(done);
  result.loss = done > 0 ? result.loss / count : std::numeric_limits<double>::quiet_NaN();
  const OptimizerOptions& optimizer = recipe_.optimizer;
  const double momentum = optimizer.type == "sgd" ? optimizer.momentum : 0;
  result.report.steps = aggregate::fednova_length(count, momentum);
  end_round(round, result);
  tell(result);
  return result;
}

void SiloTraining::begin_round(const aggregate::ServerState& server) {
  model_.give(*parts_->parameters, /*all=*/false);
  for (std::size_t i = 0; i < private_.size(); ++i)
    at::Tensor((*parts_->parameters)[model_.own()[i].index].tensor).copy_(private_[i]);
  if (recipe_.federated->optimizer_state == "reset") forget(*parts_->optimizer);
  if (controls_ != nullptr) controls_->begin_round(server);
  parts_->computation.weights.invalidate();
}

// A part may hide the loss, and say what its steps have cost.
void SiloTraining::tell(Round& round) const {
  MetricsRow row;
  row.set("loss", round.loss);
  for (const auto& part : parts_->around) part->report(row);
  const double* loss = row.find("loss");
  round.loss = loss != nullptr ? *loss : std::numeric_limits<double>::quiet_NaN();
  if (const double* epsilon = row.find("epsilon")) round.epsilon = *epsilon;
  if (!hides_numbers_of_silos(recipe_)) return;
  round.loss = std::numeric_limits<double>::quiet_NaN();
  round.report = {.silo = name_};
}

void SiloTraining::end_round(std::int64_t number, Round& round) {
  round.change = model_.change(*parts_->parameters);
  if (noised_) noised_->apply(context_, number, round.change);
  if (routed_ != nullptr) round.report.routed_tokens = routed_->take(context_, *parts_->parameters);
  for (std::size_t i = 0; i < private_.size(); ++i)
    private_[i].copy_((*parts_->parameters)[model_.own()[i].index].tensor);
  if (controls_ != nullptr) controls_->end_round(round.change, round.report.rate_sum);
  if (compressed_) round.packed = compressed_->apply(context_, round.change);
  for (const RoundModel::Entry& entry : model_.shared())
    round.bytes += bytes_on_the_way(recipe_, (*parts_->parameters)[entry.index]);
}

StateDict SiloTraining::private_parameters() const {
  StateDict state;
  for (std::size_t i = 0; i < private_.size(); ++i)
    state.push_back(
        entry_like((*parts_->parameters)[model_.own()[i].index], "private", private_[i]));
  return state;
}

StateDict SiloTraining::kept_state() const {
  const bool keeps = recipe_.federated->optimizer_state == "keep";
  StateDict state = keeps ? training_state(*parts_) : state_beside_optimizer(*parts_);
  append(private_parameters(), state);
  if (compressed_) append(compressed_->state(), state);
  return state;
}

// One more than checkpoints of the whole: what belongs to the oldest of these is still there.
CheckpointStore SiloTraining::store() const {
  return CheckpointStore({.folder = silo_folder(recipe_.run_dir, name_) + "/checkpoints",
                          .keep = recipe_.checkpoint.keep + 1});
}

void SiloTraining::save(std::int64_t round) const {
  CheckpointContent content;
  content.model = on_host(kept_state());
  if (content.model.empty()) return;
  content.config = parts_->config;
  content.training = {{"round", round}, {"silo", name_}};
  for (const auto& part : parts_->around) part->add_notes(content.training);
  store().save(context_, round, content);
}

void SiloTraining::load(std::int64_t round) {
  const StateDict live = kept_state();
  if (live.empty()) return;
  const std::string folder = silo_folder(recipe_.run_dir, name_) + "/checkpoints";
  const std::string path = saved_silo(context_, folder, round);
  if (path.empty()) return;  // it has not taken part yet
  const CheckpointInfo info = CheckpointStore::open(context_, path);
  CheckpointContent saved;
  saved.model = on_host(live);
  CheckpointStore::load(context_, info, saved);
  copy_back(saved.model, live);
  LiveState all{.entries = moving_state_of(*parts_->parameters),
                .before_change = [this] { parts_->computation.weights.invalidate(); }};
  append(training_state(*parts_), all.entries);
  const Json notes = info.manifest.value("training", Json::object());
  for (const auto& part : parts_->around) part->restore(context_, notes, all);
}

}  // namespace moesaic
