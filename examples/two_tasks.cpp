// Two tasks after each other, from the library's parts. A softmax regression tells two clouds of
// points apart by their first coordinate, then two others, whose first coordinate says the opposite
// and whose second one would do. It forgets the first task: of 100 points it found 92, then 10.
// With elastic weight consolidation it learns to go by the second coordinate and still finds 90 or
// more.
//
// expected: the first task after the second: 0\.[01][0-9] without, 0\.9[0-9] with EWC
#include <ATen/ops/arange.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros_like.h>

#include <cstdio>
#include <filesystem>
#include <random>

#include "core/fs.h"
#include "engine/add_continual.h"
#include "engine/make_tasks.h"
#include "engine/training_run.h"
#include "metrics/task_file.h"
#include "models/make_model.h"

namespace {

using namespace moesaic;
constexpr std::int64_t kRows = 64, kSteps = 300, kEvaluated = 64;
/// Steps of task 0 or 1; validation is on draws that no step has.
struct Clouds : StepData, EvalData {
  explicit Clouds(int task) : task_(task) {}
  StepSize size(std::int64_t /*step*/) const override { return {kRows, kRows, 1, kRows}; }
  Batch micro_batch(std::int64_t step, std::int64_t /*index*/) const override {
    std::mt19937_64 random(static_cast<std::uint64_t>(2 * step + task_));
    std::normal_distribution<float> wide(0, 0.7F), narrow(0, 0.1F);
    Batch batch{.example_id_T = at::arange(kRows), .features_TF = at::empty({kRows, 2})};
    batch.targets_T = batch.example_id_T.remainder(2);
    batch.positions_T = at::zeros_like(batch.example_id_T);
    batch.place_T = batch.example_id_T.mul(std::int64_t{1} << kPlaceBits);
    float* point = batch.features_TF.mutable_data_ptr<float>();
    for (std::int64_t row = 0; row < kRows; ++row, point += 2) {
      const float side = row % 2 == 0 ? -1.0F : 1.0F;
      point[0] = task_ == 0 ? side + wide(random) : -0.5F * side + narrow(random);
      point[1] = task_ == 0 ? narrow(random) : side + wide(random);
      batch.attention_offsets.push_back(row + 1);
    }
    batch.document_offsets = batch.attention_offsets;
    return batch;
  }
  std::int64_t count() const override { return kEvaluated; }
  Batch micro_batch(std::int64_t index) const override { return micro_batch(kSteps + index, 0); }
  std::int64_t target_tokens() const override { return kEvaluated * kRows; }
  std::int64_t sequences() const override { return kEvaluated * kRows; }
  bool has_labels() const override { return true; }
  int task_;
};

/// The share of the first task's points that is found after the second task.
double kept(const std::string& method) {
  const RankContext context = RankContext::single();
  Recipe recipe;
  recipe.run_dir = (std::filesystem::temp_directory_path() / ("two-tasks-" + method)).string();
  make_folder(recipe.run_dir);
  recipe.model.config = {{"model_type", "mlp"}, {"input_size", 2}, {"num_labels", 2}};
  recipe.optimizer = {.type = "sgd", .learning_rate = 0.2, .weight_decay = 0};
  recipe.checkpoint = {.every_steps = 0, .final = false};
  recipe.continual =
      ContinualOptions{.method = method, .lambda = 10, .tasks = {{.name = "a"}, {.name = "b"}}};
  const arch::Options arch = arch::require_options(recipe.model.config, "two_tasks");
  const TaskSteps steps({kSteps, kSteps});
  std::vector<std::unique_ptr<StepData>> train;
  for (int task : {0, 1}) train.push_back(std::make_unique<Clouds>(task));
  auto data = std::make_unique<TaskData>(std::move(train), steps);
  RunTasks tasks{steps, data.get(), {}, {kSteps * kRows, kSteps * kRows}};
  for (int task : {0, 1}) tasks.valid.push_back(std::make_shared<Clouds>(task));
  TrainingParts parts;
  parts.train = std::move(data);
  parts.max_steps = steps.total();
  parts.parameters = std::make_unique<ParameterSet>(arch::parameter_table(arch),
                                                    ParameterSet::Options{.seed = recipe.seed});
  parts.model = make_model({.arch = arch}, *parts.parameters, context);
  parts.losses = make_losses(recipe, arch);
  auto sink = std::make_unique<AccumulatingSink>(*parts.parameters, context, MatmulKernel::kMkl);
  parts.gradients = sink->gradients();
  parts.sink = std::move(sink);
  parts.optimizer = add_continual(recipe, arch, context, "", nullptr,
                                  make_optimizer(recipe.optimizer, *parts.parameters), parts);
  parts.not_finite = stop_when_not_finite();
  parts.saver = make_sync_saver(context, CheckpointStore({recipe.run_dir + "/checkpoints", 1}));
  parts.schedule = make_schedule(recipe, parts.max_steps, tasks);
  add_tasks(recipe, context, tasks, parts);
  StopSignal stop;
  TrainingRun(recipe, context, {}, std::move(parts)).run(stop);
  return read_task_matrix(recipe.run_dir + "/tasks.json").rows.at(2).at(0);
}

}  // namespace

int main() {
  std::printf("the first task after the second: %.2f without, %.2f with EWC\n", kept("none"),
              kept("ewc"));
}
