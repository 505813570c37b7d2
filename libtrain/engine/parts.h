// The parts that a training run is put together from. Which parts there are is decided in
// assemble.cpp and nowhere else; the trainer only uses them.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "core/json.h"
#include "data/eval_batches.h"
#include "data/token_stream.h"
#include "engine/checkpoint_saver.h"
#include "loss/loss_term.h"
#include "models/transformer.h"
#include "moe/feedback.h"
#include "moe/placement.h"
#include "nn/forward_context.h"
#include "optim/gradient_transform.h"
#include "optim/optimizer.h"
#include "optim/schedule.h"
#include "parallel/gradient_buckets.h"
#include "store/model_source.h"

namespace moesaic {

struct TrainingParts {
  Precision precision;
  MatmulKernel matmul = MatmulKernel::kMkl;
  Json tokenizer;  // description, for the checkpoint
  std::optional<TokenStream> train;
  std::optional<EvalBatches> valid;
  std::int64_t max_steps = 0;

  std::unique_ptr<Transformer> model;
  HubOrigin origin;  // of the weights it started from
  WeightCopies weights;
  std::vector<std::unique_ptr<LossTerm>> losses;  // the first is the cross entropy
  std::vector<std::unique_ptr<RouterFeedback>> feedback;
  ExpertPlacement* placement = nullptr;  // one of `feedback`, where experts move
  std::unique_ptr<GradientBuckets> buckets;
  std::unique_ptr<GradientSink> sink;
  TransformChain transforms;
  std::unique_ptr<Optimizer> optimizer;
  std::optional<Schedule> schedule;

  std::optional<CheckpointStore> store;
  std::unique_ptr<CheckpointSaver> saver;
};

}  // namespace moesaic
