#include "engine/training_run.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "arch/cost.h"
#include "comm/trace_span.h"
#include "config/recipe_reader.h"
#include "core/error.h"
#include "core/memory.h"
#include "engine/assemble.h"
#include "engine/evaluator.h"
#include "engine/resume_check.h"
#include "observe/routing_picture.h"

namespace moesaic {
namespace {

// Checkpoints are written from host memory: live tensors of the CPU are taken as they are.
StateDict on_host(StateDict state) {
  for (StateEntry& entry : state) entry.tensor = entry.tensor.cpu();
  return state;
}

// What training alone needs.
StateDict training_state(const TrainingParts& parts) {
  StateDict state = parts.optimizer->state();
  for (const auto& feedback : parts.feedback) {
    const StateDict more = feedback->state();
    state.insert(state.end(), more.begin(), more.end());
  }
  return state;
}

// What lies where the experts are: weights and moments.
StateDict moving_state(const TrainingParts& parts) {
  StateDict state = state_of(parts.model->parameters());
  const StateDict moments = parts.optimizer->state();
  state.insert(state.end(), moments.begin(), moments.end());
  return state;
}

void copy_back(const StateDict& host, const StateDict& live) {
  for (std::size_t i = 0; i < host.size(); ++i) {
    if (!live[i].tensor.is_same(host[i].tensor)) at::Tensor(live[i].tensor).copy_(host[i].tensor);
  }
}

double norm_of(const std::vector<double>& values) {
  return std::sqrt(std::inner_product(values.begin(), values.end(), values.begin(), 0.0));
}

double mean_of(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

/// Where training stood; an imported checkpoint has weights alone.
struct SavedTraining {
  std::string recipe;
  std::int64_t tokens = 0;
};

SavedTraining saved_training(const CheckpointInfo& info) {
  const Json training = info.manifest.value("training", Json());
  if (training.is_object() && training.contains("recipe") && training["recipe"].is_string() &&
      training.contains("tokens") && training["tokens"].is_number_integer())
    return {training["recipe"], training["tokens"]};
  throw Error(ErrorKind::kCheckpoint,
              format("{} holds weights only, as an imported model does: no training can go on from "
                     "it with --resume",
                     info.path),
              "start a new run from its weights with model.from");
}

}  // namespace

TrainingRun::TrainingRun(const Recipe& recipe, const RankContext& context, const Options& options)
    : recipe_(recipe),
      context_(context),
      parts_(assemble(recipe, architecture_of(recipe), context)),
      trainer_(context, parts_) {
  if (!options.resume.empty()) restore(options.resume);
}

void TrainingRun::restore(const std::string& resume) {
  std::optional<CheckpointInfo> info =
      resume == "auto" ? parts_.store->newest(context_) : CheckpointStore::open(context_, resume);
  if (!info) {
    context_.log.info("no checkpoint in {} yet: starting anew", recipe_.run_dir);
    return;
  }
  const SavedTraining training = saved_training(*info);
  check_resumable(recipe_from_yaml(training.recipe, info->path), recipe_, info->path);
  CheckpointContent saved = content();
  CheckpointStore::load(context_, *info, saved);
  copy_back(saved.model, state_of(parts_.model->parameters()));
  copy_back(saved.state, training_state(parts_));
  if (parts_.placement != nullptr) {
    parts_.placement->plan_from(info->manifest.at("training").value("placement", Json()));
    parts_.placement->lie_as_planned(moving_state(parts_), context_.expert);
  }
  parts_.weights.invalidate();
  parts_.origin = CheckpointStore::origin(context_, *info);
  step_ = saved_step_ = info->step;
  tokens_ = logged_tokens_ = training.tokens;
  context_.log.info("resumed from {} after step {}", info->path, step_);
}

CheckpointContent TrainingRun::content() const {
  CheckpointContent content;
  content.model = on_host(state_of(parts_.model->parameters()));
  content.state = on_host(training_state(parts_));
  content.config = arch::to_config(parts_.model->arch());
  content.tokenizer = parts_.tokenizer;
  content.hub = parts_.origin;
  content.training = {{"step", step_}, {"tokens", tokens_}, {"recipe", to_yaml(recipe_)}};
  if (parts_.placement != nullptr) content.training["placement"] = parts_.placement->table();
  return content;
}

void TrainingRun::save() {
  if (saved_step_ == step_) return;
  const Span span("checkpoint");
  ExpertPlacement* placement = parts_.placement;
  if (placement != nullptr) {
    placement->plan();
    placement->lie_in_order(moving_state(parts_), context_.expert);
  }
  parts_.saver->save(step_, content());
  saved_step_ = step_;
  if (placement == nullptr) return;
  parts_.saver->before_change();
  placement->lie_as_planned(moving_state(parts_), context_.expert);
  parts_.weights.invalidate();
}

bool TrainingRun::is_due(std::int64_t every_steps) const {
  return step_ == parts_.max_steps || (every_steps > 0 && step_ % every_steps == 0);
}

int TrainingRun::run(StopSignal& stop) {
  const bool stopped = train(stop);
  parts_.saver->finish();
  if (!stopped) return 0;
  context_.log.info("stopped by a signal after step {}; go on with --resume auto", step_);
  return kExitStopped;
}

bool TrainingRun::train(StopSignal& stop) {
  StepProfiler profiler(context_, {.steps = recipe_.log.profile_steps,
                                   .run_dir = recipe_.run_dir,
                                   .first_step = step_ + 1,
                                   .last_step = parts_.max_steps});
  since_logged_.lap();
  bool stopping = false;
  while (step_ < parts_.max_steps && !stopping) {
    profiler.before(step_ + 1);
    stopping = next_step(stop);
    const auto profile = profiler.after(step_, stopping || step_ == parts_.max_steps);
    if (profile) profile_ = profile;
  }
  return stopping;
}

bool TrainingRun::next_step(StopSignal& stop) {
  const Stopwatch step_time;
  ++step_;  // the step under way
  const Span span("step", step_);
  const bool evaluated = parts_.valid && is_due(recipe_.eval.every_steps);
  const std::int64_t diagnosis = recipe_.moe.diagnose_every;
  const bool diagnosed = diagnosis > 0 && step_ % diagnosis == 0;
  const bool logged = evaluated || diagnosed || is_due(recipe_.log.every_steps);
  StepReport report =
      trainer_.step(step_, {.stop = stop.requested(), .routing = logged, .diagnose = diagnosed});
  tokens_ += report.target_tokens;
  const double step_seconds = step_time.seconds();

  std::optional<double> valid_loss;
  if (evaluated) valid_loss = validation_loss(context_, parts_);
  if (logged) log(report, valid_loss, step_seconds);

  const bool last = step_ == parts_.max_steps;
  const bool stopping = report.stop && !last;
  const std::int64_t every = recipe_.checkpoint.every_steps;
  const bool regular = every > 0 && step_ % every == 0;
  if (regular || stopping || (last && recipe_.checkpoint.final)) save();
  return stopping;
}

void TrainingRun::set_routing(const StepReport& report, MetricsRow& row) const {
  const RoutingStats& routing = report.routing;
  const std::vector<double> violations = routing.max_violations();
  const double active = routing.active_experts();
  row.set("max_violation", *std::max_element(violations.begin(), violations.end()));
  row.set("dead_experts", routing.dead_experts());
  row.set("dropped_fraction", routing.dropped_fraction());
  row.set("active_experts", active);
  row.set("flops_per_token", 3.0 * arch::forward_flops_per_token(
                                       parts_.model->arch(), recipe_.data.sequence_length, active));
  row.set("gate_grad_norm", norm_of(report.gate_grad_norm));
  row.vectors.emplace_back("layer_max_violation", violations);
  row.vectors.emplace_back("layer_load_entropy", routing.entropies());
  row.vectors.emplace_back("layer_gate_grad_norm", report.gate_grad_norm);
  if (!report.gate_cosine.empty()) {
    row.set("gate_cosine", mean_of(report.gate_cosine));
    row.vectors.emplace_back("layer_gate_cosine", report.gate_cosine);
  }
  const auto loads = routing.loads();
  for (std::size_t layer = 0; layer < loads.size(); ++layer)
    row.vectors.emplace_back(RoutingPicture::load_name(layer), loads[layer]);
}

void TrainingRun::log(StepReport& report, std::optional<double> valid_loss, double step_seconds) {
  const Span span(span_name::kLog);
  MetricsRow row;
  row.step = report.step;
  row.set("tokens", static_cast<double>(tokens_));
  for (const auto& [name, value] : report.losses) row.set(name, value);
  row.set("loss_total", report.loss_total);
  row.set("learning_rate", report.learning_rate);
  row.set("grad_norm", report.gradient.grad_norm);
  row.set("clip_factor", report.gradient.clip_factor);
  if (parts_.model->arch().is_moe()) set_routing(report, row);
  if (valid_loss) row.set("valid_loss", *valid_loss);
  const double seconds = since_logged_.lap();
  row.set("tokens_per_s", static_cast<double>(tokens_ - logged_tokens_) / seconds);
  row.set("step_s", step_seconds);
  row.set("sync_wait_s", parts_.buckets->wait_seconds());
  const double wait_seconds = parts_.saver->wait_seconds();
  row.set("checkpoint_s", wait_seconds - logged_wait_seconds_);
  logged_wait_seconds_ = wait_seconds;
  row.set("memory_peak_mb", peak_memory_mb());
  if (profile_) {
    row.set("profile_step_s", profile_->step_s);
    row.set("profile_wait_s", profile_->wait_s);
    row.set("profile_data_s", profile_->data_s);
    row.set("profile_log_s", profile_->log_s);
    profile_.reset();
  }
  logged_tokens_ = tokens_;
  for (const auto& sink : sinks_) sink->write(row);
}

}  // namespace moesaic
