// The model of an architecture.
#pragma once

#include <memory>

#include "models/transformer.h"

namespace moesaic {

/// A classifier where the architecture reads features, which has a use for the adapters alone of
/// the options; else a transformer. Local. `parameters`, made from the table of options.arch, must
/// outlive the model.
std::unique_ptr<Model> make_model(const Transformer::Options& options,
                                  const ParameterSet& parameters, const RankContext& context);

}  // namespace moesaic
