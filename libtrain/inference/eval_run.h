// EvalRun: a task from its first question to its result, on any layout.
#pragma once

#include "inference/eval_task.h"
#include "inference/inference_model.h"

namespace moesaic {

/// Collective over world. `task`: the chief's; the other ranks give nullptr. The result is the
/// chief's; errors of the data are SharedErrors. Forward passes have `batch_tokens` ids or one
/// longer sequence, whatever the layout.
metrics::Measurement run_eval(const RankContext& context, InferenceModel& model, EvalTask* task,
                              std::int64_t batch_tokens);

/// The task called `name` (perplexity | multiple_choice | classification) for `model`; chief only.
/// `log` hears of doubts about the data. Error(kUsage, kData).
std::unique_ptr<EvalTask> make_eval_task(const std::string& name, EvalTask::Options options,
                                         const InferenceModel& model, const Log& log);

}  // namespace moesaic
