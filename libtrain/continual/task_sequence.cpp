#include "continual/task_sequence.h"

#include <utility>

#include "comm/trace_span.h"
#include "continual/task_files.h"
#include "core/error.h"
#include "metrics/task_file.h"
#include "store/agreement.h"

namespace moesaic {
namespace {

constexpr const char* kNote = "tasks";  // in the manifest's "training"

/// Rows that are there after `steps` steps: one from before the first task, one a finished task.
std::size_t rows_after(std::int64_t steps, const TaskSteps& tasks) {
  if (steps == 0) return 0;
  const TaskSteps::Place last = tasks.place(steps - 1);
  return 1 + last.task + (last.step + 1 >= tasks.steps(last.task) ? 1 : 0);
}

}  // namespace

TaskSequence::TaskSequence(const RankContext& context, Options options)
    : context_(context), options_(std::move(options)) {
  MOESAIC_ASSERT(options_.tasks.size() == options_.steps.tasks());
  matrix_.metric = options_.metric;
  for (const Task& task : options_.tasks) matrix_.tasks.push_back(task.name);
}

void TaskSequence::before(const Step& step) {
  task_ = options_.steps.place(step.number - 1).task;
  if (!matrix_.rows.empty()) return;
  if (context_.is_chief()) context_.log.info("tasks     {}", heading_text(matrix_));
  add_row();
}

void TaskSequence::finished(const RankContext& context, const Step& step) {
  const TaskSteps::Place place = options_.steps.place(step.number - 1);
  if (!place.is_last) return;
  add_row();
  const Task& task = options_.tasks[place.task];
  const LearnedTask learned{.index = static_cast<std::int64_t>(place.task),
                            .count = std::ssize(options_.tasks),
                            .name = task.name,
                            .recipe = task.recipe,
                            .data = task.data,
                            .sequences = task.sequences};
  for (TaskEnd* end : options_.ends) end->task_ended(context, learned);
  if (place.task + 1 < options_.tasks.size()) options_.restart();
}

void TaskSequence::report(MetricsRow& row) const {
  row.set("task", static_cast<double>(task_ + 1));
}

void TaskSequence::add_row() {
  const Span span("tasks");
  std::vector<double> row;
  for (const Task& task : options_.tasks) row.push_back(task.evaluate());
  matrix_.rows.push_back(std::move(row));
  tell_row();
  write_files();
}

void TaskSequence::tell_row() const {
  if (!context_.is_chief()) return;
  context_.log.info("tasks     {}", row_text(matrix_, matrix_.rows.size() - 1));
  if (!matrix_.is_complete()) return;
  const TaskMetrics metrics = task_metrics(matrix_);
  context_.log.info(
      "tasks     average {:.4f}, backward transfer {:+.4f}, forgetting {:.4f}, forward transfer "
      "{:+.4f}",
      metrics.average, metrics.backward_transfer, metrics.forgetting, metrics.forward_transfer);
}

void TaskSequence::write_files() const {
  options_.settle();
  agreed(context_.world, "tasks.files", [&] {
    if (context_.is_chief()) write_task_files(matrix_, options_.run_dir);
  });
}

void TaskSequence::add_notes(Json& training) const { training[kNote] = rows_json(matrix_.rows); }

void TaskSequence::restore(const RankContext&, const Json& training, const LiveState&) {
  const std::string where = "'tasks' in the manifest";
  matrix_.rows = rows_from(training.value(kNote, Json::array()), matrix_.tasks.size(), where,
                           ErrorKind::kCheckpoint);
  const Json step = training.value("step", Json());
  const std::int64_t done = step.is_number_integer() ? step.get<std::int64_t>() : 0;
  MOESAIC_CHECK(done > 0, ErrorKind::kCheckpoint, "{}: there is no step beside it", where);
  const std::size_t expected = rows_after(done, options_.steps);
  MOESAIC_CHECK(matrix_.rows.size() == expected, ErrorKind::kCheckpoint,
                "{}: it has {} rows, and {} belong to its step", where, matrix_.rows.size(),
                expected);
  write_files();
}

}  // namespace moesaic
