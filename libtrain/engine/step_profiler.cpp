#include "engine/step_profiler.h"

#include <ATen/ops/empty.h>

#include <algorithm>
#include <cstring>

#include "comm/trace_span.h"
#include "core/clock.h"
#include "core/json.h"
#include "engine/trace_file.h"

namespace moesaic {
namespace {

std::string steps_text(std::int64_t first, std::int64_t last) {
  return first == last ? format("step {}", first) : format("steps {} to {}", first, last);
}

double percent(double part, double whole) { return whole > 0 ? 100 * part / whole : 0; }

}  // namespace

StepProfiler::StepProfiler(const RankContext& context, const Options& options)
    : context_(context), steps_(options.steps), run_dir_(options.run_dir) {
  std::sort(steps_.begin(), steps_.end());
  for (const std::int64_t step : steps_) {
    if (step >= options.first_step && step <= options.last_step) continue;
    context_.log.warn("log.profile_steps: step {} is not profiled, this job runs {}", step,
                      steps_text(options.first_step, options.last_step));
  }
}

bool StepProfiler::wanted(std::int64_t step) const {
  return std::binary_search(steps_.begin(), steps_.end(), step);
}

void StepProfiler::before(std::int64_t step) {
  if (recording_ || !wanted(step)) return;
  tracer_ = std::make_shared<Tracer>();
  recording_ = std::make_unique<SpanRecording>(tracer_);
  first_step_ = step;
  begin_ns_ = monotonic_ns();
}

std::optional<StepProfile> StepProfiler::after(std::int64_t step, bool last) {
  if (!recording_ || (!last && wanted(step + 1))) return std::nullopt;
  return finish(step);
}

StepProfile StepProfiler::finish(std::int64_t last_step) {
  const double seconds = static_cast<double>(monotonic_ns() - begin_ns_) * 1e-9;
  recording_.reset();
  tracer_->stop();
  const StepProfile profile = measured(last_step - first_step_ + 1, seconds);
  const std::string path = format("{}/trace-{}.json", run_dir_, first_step_);
  const Json about = {{"first_step", first_step_}, {"last_step", last_step},
                      {"step_s", profile.step_s},  {"wait_s", profile.wait_s},
                      {"data_s", profile.data_s},  {"log_s", profile.log_s}};
  const std::string failure = write_trace(context_, *tracer_, begin_ns_, path, about);
  report(profile, last_step, seconds);
  if (failure.empty()) {
    context_.log.info("profile   {} (ui.perfetto.dev opens it)", path);
  } else {
    context_.log.warn("the profile is lost: {}", failure);
  }
  tracer_.reset();
  return profile;
}

StepProfile StepProfiler::measured(std::int64_t steps, double seconds) const {
  at::Tensor all = at::empty({4}, at::kDouble);
  auto* value = all.mutable_data_ptr<double>();
  value[0] = seconds;
  value[1] = tracer_->seconds(Tracer::Kind::kWait);
  value[2] = tracer_->seconds(span_name::kData);
  value[3] = tracer_->seconds(span_name::kLog);
  for (int i = 0; i < 4; ++i) value[i] /= static_cast<double>(steps);
  context_.world.all_reduce(all, ReduceOp::kMax, "profile");
  return {value[0], value[1], value[2], value[3]};
}

void StepProfiler::report(const StepProfile& profile, std::int64_t last_step,
                          double seconds) const {
  context_.log.info(
      "profile   {}: {:.3f} s a step; waiting {:.2f} %, data {:.2f} %, logging {:.2f} % of it "
      "(rank "
      "with most)",
      steps_text(first_step_, last_step), profile.step_s, percent(profile.wait_s, profile.step_s),
      percent(profile.data_s, profile.step_s), percent(profile.log_s, profile.step_s));
  if (tracer_->dropped() > 0) {
    context_.log.warn(
        "the profile is full: {} later spans of this rank are missing; profile fewer "
        "steps",
        tracer_->dropped());
  }
  std::string labels;
  for (const auto& [name, waited] : tracer_->seconds_by_name(Tracer::Kind::kWait)) {
    const std::string label = name.substr(std::strlen(span_name::kWait) + 1);
    labels += format("{}{} {:.2f} %", labels.empty() ? "" : "; ", label, percent(waited, seconds));
  }
  if (!labels.empty()) context_.log.info("profile   rank {} waits: {}", context_.rank(), labels);
}

}  // namespace moesaic
