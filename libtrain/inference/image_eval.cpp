#include "inference/image_eval.h"

#include <memory>
#include <utility>

#include "core/error.h"
#include "data/image_batches.h"
#include "loss/validation.h"
#include "models/classifier.h"
#include "store/adapted_source.h"
#include "store/agreement.h"
#include "store/model_source.h"

namespace moesaic {

Json evaluate_images(const RankContext& context, const ImageEvalOptions& options) {
  const auto source =
      adapted(context, ModelSource::open(context, options.model, options.base), options.adapter);
  const arch::Options& arch = source->arch();
  MOESAIC_CHECK(arch.reads_features(), ErrorKind::kUsage,
                "{} is a {}, which reads tokens: --task images is for classifiers (model_type mlp)",
                options.model, arch.model_type);
  Computation computation{.precision = Precision::named(options.precision),
                          .matmul = chiefs_matmul(context.world, "auto"),
                          .world = context.world};
  std::unique_ptr<ImageEval> data;
  agreed(context.world, "eval: images", [&] {
    ImageFiles files;
    Images images({options.source}, arch,
                  {.dtype = computation.precision.master, .mask_classes = options.mask_classes},
                  files);
    data = std::make_unique<ImageEval>(std::move(images), options.batch);
  });
  const ParameterSet parameters(arch::parameter_table(arch), {.dtype = computation.precision.master,
                                                              .initialise = false,
                                                              .device = context.device,
                                                              .rank = context.rank(),
                                                              .plan = context.plan});
  const Classifier model(arch, nullptr, parameters);
  source->load(context, state_of(parameters), {.allow_nonfinite = options.allow_nonfinite});
  const Validation found = validation_of(context, model, computation, *data);
  return {{"task", "images"},
          {"images", data->sequences()},
          {"loss", found.loss},
          {"accuracy", *found.accuracy}};
}

}  // namespace moesaic
