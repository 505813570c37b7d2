#include "engine/importance_run.h"

#include "core/error.h"
#include "engine/open_data.h"
#include "models/make_model.h"
#include "store/adapted_source.h"

namespace moesaic {
namespace {

void require_one_task(const Recipe& recipe) {
  if (!recipe.continual || recipe.continual->tasks.empty()) return;
  throw Error(ErrorKind::kRecipe, "the recipe has continual.tasks, and importances are of one",
              "give a recipe whose data.train is the data to be remembered; a run with tasks makes "
              "the importances of each by itself");
}

// An importance is a sum over the data without bound and without noise.
Recipe without_privacy(const Recipe& recipe, bool not_private) {
  if (recipe.privacy && !not_private) {
    throw Error(ErrorKind::kRecipe,
                format("the data of the recipe are under a ledger, {}, and importances would tell "
                       "of them without noise",
                       recipe.privacy->ledger),
                "take the importances of other data, or say with --not-private that the file need "
                "not be private");
  }
  Recipe plain = recipe;
  plain.privacy.reset();
  plain.train.global_batch_size = plain.train.micro_batch_size;  // the order is the same
  return plain;
}

ParameterSet parameters_of(const ModelSource& source, const Precision& precision,
                           const RankContext& context) {
  return {arch::parameter_table(source.arch()), ParameterSet::Options{.dtype = precision.master,
                                                                      .initialise = false,
                                                                      .device = context.device,
                                                                      .rank = context.rank(),
                                                                      .plan = context.plan}};
}

FisherRequest request_of(const ImportanceRun& run, const Recipe& recipe, std::int64_t sequences) {
  FisherRequest request = FisherRequest::of(recipe);
  if (run.mas)
    request.labels = FisherLabels::kOutputNorm;
  else if (request.labels == FisherLabels::kOutputNorm)
    request.labels = fisher_labels_named(recipe.continual->fisher.labels);
  request.sequences = sequences;
  return request;
}

}  // namespace

ImportanceNotes make_importances(const ImportanceRun& run, const Recipe& given,
                                 const RankContext& context) {
  require_one_task(given);
  const Recipe recipe = without_privacy(given, run.not_private);
  require_place_for_importances(context, run.output);
  const auto source =
      adapted(context, ModelSource::open(context, run.model, run.base), run.adapter);
  const RunData data =
      open_data(recipe, source->arch(), *make_tokenizer(recipe.tokenizer), context);
  const Precision precision = Precision::named(recipe.train.precision);
  const ParameterSet parameters = parameters_of(*source, precision, context);
  const auto model =
      make_model({.arch = source->arch(),
                  .block_pass = recipe.train.checkpoint_activations ? recompute_activations
                                                                    : keep_activations},
                 parameters, context);
  source->load(context, state_of(parameters), {});
  const FisherRequest request = request_of(run, recipe, data.train_sequences);
  const FisherEstimate estimate = estimate_fisher(
      {*model, parameters, precision, chiefs_matmul(context.world, recipe.train.matmul)},
      *data.train, request, context);
  const ImportanceNotes notes{.labels = name_of(request.labels),
                              .examples = estimate.examples,
                              .model_digest = source->digest(context)};
  write_importances(context, run.output, parameters, estimate.importance, notes);
  return notes;
}

}  // namespace moesaic
