#include "continual/fisher_end.h"

#include "models/make_model.h"

namespace moesaic {

Importance FisherEnd::estimate(const RankContext& context, const LearnedTask& task) const {
  FisherRequest request = FisherRequest::of(task.recipe);
  if (task.sequences > 0) request.sequences = task.sequences;
  const auto of = [&](const Model& model, const ParameterSet& parameters) {
    return estimate_fisher({model, parameters, subject_.precision, subject_.matmul}, task.data,
                           request, context)
        .importance;
  };
  if (remembered_.pairs().empty()) return of(subject_.model, subject_.parameters);
  const ParameterSet full = in_full(subject_.parameters);
  const auto adapters = subject_.make_adapters(full);
  const auto model = make_model(
      {.arch = subject_.arch, .moe = {.slot_LE = subject_.slot_LE}, .adapters = adapters.get()},
      full, context);
  return of(*model, full);
}

void FisherEnd::task_ended(const RankContext& context, const LearnedTask& task) {
  Importance learned = estimate(context, task);
  for (ParameterImportance& of : learned)
    of.anchor.reset();  // the weights, with what adapters change
  remembered_.join(context, learned);
}

}  // namespace moesaic
