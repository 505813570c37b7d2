// How much the experts of each layer count for some data (Wang et al. 2024, arXiv 2407.01906,
// section 3.2).
#pragma once

#include <cstdint>
#include <vector>

#include "config/recipe.h"
#include "data/step_data.h"
#include "loss/model.h"
#include "parallel/rank_context.h"

namespace moesaic {

/// By layer with experts, and expert.
using ExpertScores = std::vector<std::vector<std::int64_t>>;

/// Over the first steps of `data`, at most `max_steps`, that have esft.sample_tokens inputs
/// together. "tokens": how often an expert was chosen; "gate": the sum of what these choices weigh,
/// in units of 2^-30, so that no order of adding changes it. Experts that compute nothing have no
/// score. Collective over world.
ExpertScores score_experts(const EsftOptions& esft, std::int64_t max_steps, const Model& model,
                           Computation& computation, const StepData& data,
                           const RankContext& context);

/// The fewest experts whose scores add up to `share` of all, ascending: the largest scores, of
/// equal ones the first experts. Error(kData) where all scores are zero.
std::vector<std::int64_t> fewest_experts(const std::vector<std::int64_t>& scores, double share);

}  // namespace moesaic
