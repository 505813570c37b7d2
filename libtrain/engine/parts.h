// The parts that a training run is put together from. Which parts there are is decided in
// assemble.cpp and nowhere else; the trainer only uses them.
#pragma once

#include <memory>
#include <optional>

#include "continual/remembered.h"
#include "continual/task_end.h"
#include "core/json.h"
#include "data/eval_data.h"
#include "data/step_data.h"
#include "engine/checkpoint_saver.h"
#include "engine/not_finite.h"
#include "loss/loss_term.h"
#include "loss/model.h"
#include "loss/step_part.h"
#include "nn/forward_context.h"
#include "optim/gradient_transform.h"
#include "optim/optimizer.h"
#include "optim/schedule.h"
#include "store/hub_origin.h"

namespace moesaic {

struct TrainingParts {
  Computation computation{.world = Communicator::single()};
  std::unique_ptr<StepData> train;
  std::unique_ptr<EvalData> valid;  // nullptr: none
  std::int64_t max_steps = 0;

  std::unique_ptr<ParameterSet> parameters;
  std::unique_ptr<Model> model;
  at::Tensor slot_LE;               // where its experts lie (moe/placement.h); undefined: in order
  LossTerms losses;                 // the first is the one that valid_loss is compared with
  StepParts around;                 // what is done around a step, in this order
  std::vector<TaskEnd*> task_ends;  // what is told of each task's end; owned by the others
  std::unique_ptr<GradientSink> sink;
  std::unique_ptr<Remembered> remembered;  // what penalties of the transforms pull to
  std::unique_ptr<TaskEnd> task_end;       // one of task_ends
  Gradients gradients;  // what the sink leaves after the last round
  TransformChain transforms;
  std::unique_ptr<Optimizer> optimizer;
  std::optional<Schedule> schedule;
  std::unique_ptr<NotFinitePolicy> not_finite;

  // For the checkpoints.
  Json config;       // config.json
  Json base;         // what adapters belong to; null where the checkpoints hold all weights
  Json tokenizer;    // description
  Json data;         // description; chief only
  HubOrigin origin;  // of the weights that the run started from
  std::optional<CheckpointStore> store;
  std::unique_ptr<CheckpointSaver> saver;
};

}  // namespace moesaic
