#include "continual/make_continual.h"

#include <optional>
#include <utility>

#include "config/check.h"
#include "continual/anchored_decay.h"
#include "continual/distillation.h"
#include "core/error.h"
#include "models/make_model.h"
#include "store/importance_file.h"

namespace moesaic {
namespace {

Remembered::Options remembering(const Recipe& recipe, const std::string& digest) {
  const ContinualOptions& o = *recipe.continual;
  Remembered::Options options{
      .joining = o.method == "ewc"  ? Joining::kTerm
                 : o.method == "l2" ? Joining::kAnchor
                                    : Joining::kRunning,
      .decay = o.method == "online_ewc" ? o.fisher.decay : 1.0,
      .changes = keeps_anchors_of_changes(recipe),
  };
  // Weights that were drawn know nothing; but where there is one task, the pull is all that l2
  // does.
  options.knows = o.method == "l2" && (!digest.empty() || o.tasks.empty());
  return options;
}

// The oldest first; the last one is of the model that the run starts from.
void recall(const ContinualSubject& subject, const RankContext& context, Remembered& remembered) {
  const auto& paths = subject.recipe.continual->importance;
  const auto read = [&](std::size_t i) {
    const bool last = i + 1 == paths.size();
    return read_importances(context, paths[i], subject.parameters,
                            last ? std::optional<std::string>(subject.digest) : std::nullopt);
  };
  if (paths.empty()) return;
  // Weights that are kept in fewer bits, or without what PiSSA took out, only the file has whole.
  const bool relative = !remembered.pairs().empty() && keeps_anchors_of_changes(subject.recipe);
  const Importance newest = relative ? read(paths.size() - 1) : Importance();
  for (std::size_t i = 0; i < paths.size(); ++i) {
    const bool have = relative && i + 1 == paths.size();
    remembered.join(context, have ? newest : read(i), newest);
    context.log.info("importances from {}", paths[i]);
  }
}

void add_penalty(const ContinualSubject& subject, const RankContext& context, ContinualRun& run) {
  const ContinualOptions& o = *subject.recipe.continual;
  if (o.method != "l2" && o.importance.empty() && o.tasks.empty())
    throw Error(ErrorKind::kRecipe, "continual.method: " + nothing_to_pull_to(o.method));
  run.remembered = std::make_unique<Remembered>(
      subject.parameters, low_rank_pairs(subject.recipe, subject.arch, subject.parameters),
      subject.ownership, remembering(subject.recipe, subject.digest));
  recall(subject, context, *run.remembered);
  auto penalty = std::make_unique<Penalty>(*run.remembered,
                                           Penalty::Options{o.method, o.lambda, o.router_lambda});
  if (o.method == "si") {
    if (!run.remembered->pairs().empty()) {
      auto changes = std::make_unique<ChangePath>(run.remembered->pairs());
      run.changes = changes.get();
      run.part = std::move(changes);
    }
    auto path = std::make_unique<PathIntegral>(subject.parameters, subject.ownership,
                                               *run.remembered, *penalty, run.changes);
    run.path = path.get();
    run.end = std::move(path);
  } else if (o.method == "l2") {
    run.end = std::make_unique<AnchorEnd>(subject.parameters, *run.remembered);
  } else {
    run.end = std::make_unique<FisherEnd>(
        FisherEnd::Subject{subject.model, subject.parameters, subject.computation.precision,
                           subject.computation.matmul, subject.arch, subject.make_adapters,
                           subject.slot_LE},
        *run.remembered);
  }
  run.penalty = std::move(penalty);
}

void add_distillation(const ContinualSubject& subject, const RankContext& context,
                      ContinualRun& run) {
  const ContinualOptions& o = *subject.recipe.continual;
  // What is saved moves with the live experts; without tasks the old model stays as it is.
  const MoeTraining moe{.slot_LE = o.tasks.empty() ? at::Tensor() : subject.slot_LE};
  const auto make = [&](const ParameterSet& parameters) {
    return make_model({.arch = subject.arch, .moe = moe}, parameters, context);
  };
  const auto old = std::make_shared<OldModel>(
      subject.parameters, low_rank_pairs(subject.recipe, subject.arch, subject.parameters), context,
      subject.arch, subject.computation, make, !subject.digest.empty() || o.tasks.empty());
  std::optional<UnitMean> units;
  if (subject.recipe.privacy) units = UnitMean{subject.recipe.privacy->expected_batch_size};
  run.distillation =
      std::make_unique<Distillation>(old, Distillation::Options{o.lambda, o.temperature, units});
  if (o.tasks.empty()) return;  // model.from has it
  run.part = saving(old);
  // What model.from has learned nobody says: then all its outputs count.
  if (o.mask_classes && subject.digest.empty()) old->limit_outputs();
  run.end = renewing(old, subject.arch);
}

}  // namespace

std::unique_ptr<Optimizer> ContinualRun::around(const Recipe& recipe,
                                                std::unique_ptr<Optimizer> optimizer) const {
  if (!remembered) return optimizer;
  if (recipe.optimizer.type == "adamw")
    optimizer =
        decaying_to_anchors(std::move(optimizer), *remembered, recipe.optimizer.weight_decay);
  return path == nullptr ? std::move(optimizer) : followed(std::move(optimizer), *path);
}

ContinualRun make_continual(const ContinualSubject& subject, const RankContext& context) {
  ContinualRun run;
  if (!subject.recipe.continual || subject.recipe.continual->method == "none") return run;
  if (subject.recipe.continual->method == "lwf")
    add_distillation(subject, context, run);
  else
    add_penalty(subject, context, run);
  return run;
}

}  // namespace moesaic
