// What score, eval and generate share as one rank of an MPI job.
#pragma once

#include <functional>
#include <string>

#include "common/inference_arguments.h"
#include "parallel/rank_context.h"
#include "rank_job.h"

namespace moesaic::worker {

/// The exit code of `work`, in a job that computes with a model. `memory_hint`: what a user does
/// who is out of memory.
int run_inference(const std::string& memory_hint, const std::function<int(const RankJob&)>& work);

/// Collective over all ranks. Once in a job.
RankPlace inference_place(const RankJob& job, const InferenceArguments& arguments);

/// Where the chief says what is done: in the job's folder, where there is one.
std::string work_rows(const RankContext& context, const InferenceArguments& arguments);

/// Collective over all ranks: the groups that the model and --expert ask for. Error(kCheckpoint)
/// when there is no model, Error(kUsage) when --expert does not fit.
RankContext model_context(const RankPlace& place, const ModelArguments& arguments);

}  // namespace moesaic::worker
