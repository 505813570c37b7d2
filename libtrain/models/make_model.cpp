#include "models/make_model.h"

#include "models/classifier.h"

namespace moesaic {

std::unique_ptr<Model> make_model(const Transformer::Options& options,
                                  const ParameterSet& parameters, const RankContext& context) {
  if (options.arch.reads_features())
    return std::make_unique<Classifier>(options.arch, options.adapters, parameters);
  return std::make_unique<Transformer>(options, parameters, context);
}

}  // namespace moesaic
