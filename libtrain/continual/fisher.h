// The diagonal of the Fisher information, or another mean over examples of what the gradient of one
// example says of the importance of a parameter (Kirkpatrick et al. 2017, arXiv 1612.00796; Aljundi
// et al. 2018, arXiv 1711.09601). One backward pass a micro-batch.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "config/recipe.h"
#include "data/step_data.h"
#include "loss/model.h"
#include "parallel/importance.h"
#include "parallel/rank_context.h"

namespace moesaic {

/// Where the labels of the likelihood come from.
enum class FisherLabels {
  kSampled,     // one drawn from the model for each target
  kExact,       // all, each with its probability: classifiers, whose examples have one target
  kEmpirical,   // the data's
  kBatched,     // the data's; a micro-batch counts as one example, whose gradient is the mean
  kOutputNorm,  // none: |gradient of the squared length of the outputs| (MAS)
};
/// exact | sampled | empirical | batched
FisherLabels fisher_labels_named(const std::string& name);
/// The same names; "mas" for kOutputNorm.
const char* name_of(FisherLabels labels);

struct FisherRequest {
  FisherLabels labels = FisherLabels::kSampled;
  std::int64_t examples = 1000;  // the first draws of the data
  /// Draws that are looked at, at most: the sequences, or images, of one pass over the data, after
  /// which they come again.
  std::optional<std::int64_t> sequences = {};
  bool documents = false;      // an example is a document of a sequence, not the sequence
  bool routing_aware = false;  // the mean of an expert is over the examples that reached it
  double mtp_coefficient = 0;  // of the multi-token prediction in an example's loss
  std::uint64_t seed = 0;      // of sampled labels

  /// As the recipe says in `continual`, or by default where that is absent.
  static FisherRequest of(const Recipe& recipe);
};

/// Looked at are the parameters that are trainable.
struct FisherModel {
  const Model& model;
  const ParameterSet& parameters;  // that it was made of
  Precision precision;
  MatmulKernel matmul = MatmulKernel::kMkl;
};

struct FisherEstimate {
  /// Means over the examples, and copies of the values that the parameters have now.
  Importance importance;
  std::int64_t examples = 0;  // that there were
};

/// The mean over examples of the squared (kOutputNorm: absolute) gradient of the example's loss,
/// summed over its targets, at the parameters as they are; nothing of training alone happens (no
/// dropout, jitter or capacity). The same on every layout up to rounding. Collective over world.
/// Error(kRecipe) for labels that the data do not allow, Error(kData) for a sample without a
/// target, Error(kRecipe) for an importance that is not finite: all ranks throw.
FisherEstimate estimate_fisher(const FisherModel& model, const StepData& data,
                               const FisherRequest& request, const RankContext& context);

/// The same values, the model's own parameters trainable and adapters not. A model made of it, with
/// the same adapters, gives the Fisher information of the full weights that adapt.lora changes.
ParameterSet in_full(const ParameterSet& parameters);

}  // namespace moesaic
