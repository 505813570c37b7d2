#include "engine/training_run.h"

#include <ATen/ops/isfinite.h>

#include <exception>
#include <limits>

#include "comm/trace_span.h"
#include "config/recipe_reader.h"
#include "core/error.h"
#include "core/memory.h"
#include "engine/assemble.h"
#include "engine/resume_check.h"
#include "engine/saved_state.h"
#include "store/adapter_checkpoint.h"
#include "store/agreement.h"
#include "store/checkpoint_folder.h"

namespace moesaic {
namespace {

bool begins_task(const Recipe& recipe, std::int64_t step) {
  if (!recipe.continual) return false;
  std::int64_t first = 1;
  for (const ContinualTask& task : recipe.continual->tasks) {
    if (step == first) return true;
    first += task.max_steps;
  }
  return false;
}

}  // namespace

TrainingRun::SavedTraining TrainingRun::saved_training(const CheckpointInfo& info) {
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

TrainingRun::TrainingRun(const Recipe& recipe, const RankContext& context, const Options& options)
    : TrainingRun(recipe, context, options, assemble(recipe, architecture_of(recipe), context)) {}

TrainingRun::TrainingRun(const Recipe& recipe, const RankContext& context, const Options& options,
                         TrainingParts parts)
    : recipe_(recipe),
      context_(context),
      parts_(std::move(parts)),
      trainer_(context, parts_),
      best_(recipe.eval.patience) {
  auto data = std::make_unique<LeftOutData>(std::move(parts_.train));
  data_ = data.get();
  parts_.train = std::move(data);
  if (!options.resume.empty()) restore(options);
}

void TrainingRun::check_data(const CheckpointInfo& info, bool allow_changed) const {
  agreed(context_.world, "resume: data", [&] {
    if (!context_.is_chief()) return;
    const Json saved = info.manifest.at("training").value("data", Json());
    const std::string changes = changed_data(saved, parts_.data);
    if (changes.empty()) return;
    const std::string message =
        format("the data have changed since {} was saved:{}", info.path, changes);
    if (!allow_changed) {
      throw Error(
          ErrorKind::kData, message,
          "put the old files back, go on with the new ones by --allow-changed-data, or start "
          "a new run from its weights with model.from");
    }
    context_.log.warn("{}", message);
  });
}

void TrainingRun::restore(const Options& options) {
  std::optional<CheckpointInfo> info = options.resume == "auto"
                                           ? parts_.store->newest(context_)
                                           : CheckpointStore::open(context_, options.resume);
  if (!info) {
    context_.log.info("no checkpoint in {} yet: starting anew", recipe_.run_dir);
    return;
  }
  const SavedTraining training = saved_training(*info);
  check_resumable(recipe_from_yaml(training.recipe, info->path), recipe_, info->path);
  if (!parts_.base.is_null()) {
    agreed(context_.world, "resume: base", [&] {
      AdapterBase::of(*info).require(parts_.base.at("digest"), parts_.base.at("path"), info->path);
    });
  }
  check_data(*info, options.allow_changed_data);
  load(*info, training);
  context_.log.info("resumed from {} after step {}", info->path, step_);
}

void TrainingRun::load(const CheckpointInfo& info, const SavedTraining& training) {
  CheckpointContent saved = content();
  CheckpointStore::load(context_, info, saved);
  copy_back(saved.model, saved_part(recipe_, *parts_.parameters));
  copy_back(saved.state, training_state(parts_));
  const LiveState live = live_state();
  const Json& notes = info.manifest.at("training");
  for (const auto& part : parts_.around) part->restore(context_, notes, live);
  parts_.computation.weights.invalidate();
  parts_.origin = CheckpointStore::origin(context_, info);
  step_ = saved_step_ = info.step;
  last_checkpoint_ = info.path;
  tokens_ = logged_tokens_ = training.tokens;
  if (keeps_best()) best_.restore(notes.value("best", Json()));
  if (shows_losses()) spikes_.restore(notes.value("loss_spikes", Json()));
  for (const Json& number : notes.value("left_out", Json::array()))
    data_->leave_out(number.get<std::int64_t>() - 1);
}

// The number of the step then has the batches of the next one.
void TrainingRun::rewind(const StepReport& report) {
  const std::int64_t failed = step_;
  parts_.saver->finish();
  if (last_checkpoint_.empty()) {
    throw Error(ErrorKind::kRecipe,
                format("step {}: not finite:{}; there is no checkpoint yet to go back to", failed,
                       report.not_finite),
                "lower optimizer.learning_rate or checkpoint.every_steps");
  }
  const LiveState live = live_state();
  for (const auto& part : parts_.around) part->before_restore(context_, live);
  const std::int64_t gone = data_->source(failed - 1);
  data_->leave_out(gone);
  const CheckpointInfo info = CheckpointStore::open(context_, last_checkpoint_);
  load(info, saved_training(info));
  skipped_ = 0;
  for (const auto& sink : sinks_) sink->rewind(step_);
  context_.log.warn("step {}: not finite:{}; back to {}, and on without batch {} of the data",
                    failed, report.not_finite, last_checkpoint_, gone + 1);
}

void TrainingRun::require_finite_weights(const StepReport& report) const {
  bool finite = true;
  for (const Parameter& parameter : *parts_.parameters)
    finite = finite && (!parameter.trainable || at::isfinite(parameter.tensor).all().item<bool>());
  if (context_.world.all_reduce(finite ? 0.0 : 1.0, ReduceOp::kMax, "finite weights") == 0) return;
  throw Error(ErrorKind::kRecipe,
              format("step {}: not finite:{}, and nor are the weights: to skip steps is no help",
                     report.step.number, report.not_finite),
              "lower optimizer.learning_rate or lengthen schedule.warmup_steps, then go on from a "
              "checkpoint before, or set train.on_nonfinite: rewind");
}

void TrainingRun::tell_of_patience() const {
  context_.log.info(
      "the run ends after step {}: valid_loss has not been below {} of step {} for {} evaluations "
      "(eval.patience)",
      step_, best_.loss().value_or(std::numeric_limits<double>::infinity()),
      best_.step().value_or(0), recipe_.eval.patience);
}

void TrainingRun::look_for_spike(const StepReport& report) {
  if (!shows_losses()) return;
  if (begins_task(recipe_, report.step.number)) spikes_.forget();
  const double loss = report.losses.at(0).second;
  const auto usual = spikes_.add(loss);
  if (!usual || !usual->first) return;
  context_.log.warn(
      "step {}: loss {:.4f} stands out: the median of the steps before is {:.4f}, and {:.4f} the "
      "most that is usual",
      report.step.number, loss, usual->median, usual->most);
}

LiveState TrainingRun::live_state() {
  LiveState live{.entries = moving_state_of(*parts_.parameters), .before_change = [this] {
                   parts_.saver->before_change();
                   parts_.computation.weights.invalidate();
                 }};
  append(training_state(parts_), live.entries);
  return live;
}

CheckpointContent TrainingRun::content() const {
  CheckpointContent content;
  content.model = on_host(saved_part(recipe_, *parts_.parameters));
  content.state = on_host(training_state(parts_));
  content.config = parts_.config;
  content.base = parts_.base;
  content.tokenizer = parts_.tokenizer;
  content.hub = parts_.origin;
  content.training = {{"step", step_}, {"tokens", tokens_}, {"recipe", to_yaml(recipe_)}};
  if (!parts_.data.is_null()) content.training["data"] = parts_.data;
  if (keeps_best() && !best_.note().is_null()) content.training["best"] = best_.note();
  if (recipe_.checkpoint.best) content.best = best_.step();
  if (const Json spikes = spikes_.note(); !spikes.is_null())
    content.training["loss_spikes"] = spikes;
  for (const std::int64_t gone : data_->left_out())
    content.training["left_out"].push_back(gone + 1);
  for (const auto& part : parts_.around) part->add_notes(content.training);
  return content;
}

void TrainingRun::save() {
  if (saved_step_ == step_) return;
  const Span span("checkpoint");
  const LiveState live = live_state();
  for (const auto& part : parts_.around) part->before_save(context_, live);
  parts_.saver->save(step_, content());
  saved_step_ = step_;
  last_checkpoint_ = format("{}/checkpoints/{}", recipe_.run_dir, step_folder_name(step_));
  for (const auto& part : parts_.around) part->after_save(context_, live);
}

bool TrainingRun::is_due(std::int64_t every_steps) const {
  return step_ == parts_.max_steps || (every_steps > 0 && step_ % every_steps == 0);
}

int TrainingRun::run(StopSignal& stop) {
  if (step_ >= parts_.max_steps) {
    context_.log.info(
        "the run is finished: step {} of {} is done; a larger train.max_steps (or "
        "train.epochs) trains on",
        step_, parts_.max_steps);
  }
  if (step_ < parts_.max_steps && best_.is_over()) tell_of_patience();
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
  while (!is_finished() && !stopping) {
    const std::int64_t number = step_ + 1;
    admit_next_step();
    profiler.before(number);
    stopping = next_step(stop);
    const auto profile = profiler.after(number, stopping || is_finished() || step_ != number);
    if (profile) profile_ = profile;
  }
  return stopping;
}

void TrainingRun::admit_next_step() {
  for (const auto& part : parts_.around) {
    const std::exception_ptr refusal = part->admit(context_, step_ + 1);
    if (!refusal) continue;
    if (step_ > 0) save();
    parts_.saver->finish();
    std::rethrow_exception(refusal);
  }
}

bool TrainingRun::next_step(StopSignal& stop) {
  const Stopwatch step_time;
  ++step_;  // the step under way
  const Span span("step", step_);
  const bool evaluated = parts_.valid && is_due(recipe_.eval.every_steps);
  const std::int64_t diagnosis = recipe_.moe.diagnose_every;
  const bool diagnosed = diagnosis > 0 && step_ % diagnosis == 0;
  const bool logged = evaluated || diagnosed || is_due(recipe_.log.every_steps);
  const StepReport report =
      trainer_.step(step_, {.stop = stop.requested(), .logged = logged, .diagnosed = diagnosed});
  if (report.rewind) {
    rewind(report);
    return false;
  }
  tokens_ += report.step.size.target_tokens;
  if (report.skipped) {
    require_finite_weights(report);
    ++skipped_;
  }
  look_for_spike(report);
  parts_.saver->before_change();  // done after an update; a step that was skipped may change parts
  for (const auto& part : parts_.around) part->finished(context_, report.step);
  const double step_seconds = step_time.seconds();

  std::optional<Validation> valid;
  bool new_best = false;
  if (evaluated) {
    valid = validation_of(context_, *parts_.model, parts_.computation, *parts_.valid);
    new_best = best_.add(step_, valid->loss);
  }
  if (logged) log(report, valid, step_seconds);

  if (evaluated && best_.is_over()) tell_of_patience();

  const bool last = is_finished();
  const bool stopping = report.stop && !last;
  const std::int64_t every = recipe_.checkpoint.every_steps;
  const bool regular = every > 0 && step_ % every == 0;
  const bool best = new_best && recipe_.checkpoint.best;
  if (regular || stopping || best || (last && recipe_.checkpoint.final)) save();
  return stopping;
}

void TrainingRun::log(const StepReport& report, const std::optional<Validation>& valid,
                      double step_seconds) {
  const Span span(span_name::kLog);
  MetricsRow row;
  row.step = report.step.number;
  row.set("tokens", static_cast<double>(tokens_));
  for (const auto& [name, value] : report.losses) row.set(name, value);
  row.set("loss_total", report.loss_total);
  row.set("learning_rate", report.step.learning_rate);
  for (const auto& [name, value] : report.transforms.values) row.set(name, value);
  if (skipped_ > 0) row.set("skipped", static_cast<double>(skipped_));
  skipped_ = 0;
  if (const std::int64_t spikes = spikes_.take(); spikes > 0)
    row.set("loss_spikes", static_cast<double>(spikes));
  for (const auto& part : parts_.around) part->report(row);
  if (valid) row.set("valid_loss", valid->loss);
  if (valid && valid->accuracy) row.set("valid_accuracy", *valid->accuracy);
  set_times(step_seconds, row);
  for (const auto& sink : sinks_) sink->write(row);
}

void TrainingRun::set_times(double step_seconds, MetricsRow& row) {
  const double seconds = since_logged_.lap();
  row.set("tokens_per_s", static_cast<double>(tokens_ - logged_tokens_) / seconds);
  row.set("step_s", step_seconds);
  const Waits waits{parts_.sink->wait_seconds(), parts_.saver->wait_seconds()};
  row.set("sync_wait_s", waits.sync_s - logged_waits_.sync_s);
  row.set("checkpoint_s", waits.checkpoint_s - logged_waits_.checkpoint_s);
  row.set("memory_peak_mb", peak_memory_mb());
  if (profile_) {
    row.set("profile_step_s", profile_->step_s);
    row.set("profile_wait_s", profile_->wait_s);
    row.set("profile_data_s", profile_->data_s);
    row.set("profile_log_s", profile_->log_s);
    profile_.reset();
  }
  logged_waits_ = waits;
  logged_tokens_ = tokens_;
}

}  // namespace moesaic
