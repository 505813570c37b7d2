// Low-rank adapters (Hu et al. 2021, arXiv 2106.09685): y + scale B A x beside a linear map, for
// routed experts a pair each, as grouped products on the rows of each expert. The whole change B A
// is never built.
#pragma once

#include <memory>

#include "config/recipe.h"
#include "nn/linear.h"
#include "parallel/parameter_set.h"

namespace moesaic {

/// The adapters of a recipe's run; nullptr where it has none. `parameters`, made from its
/// training_table, must outlive them. Local.
std::unique_ptr<AdapterFactory> make_lora(const Recipe& recipe, const arch::Options& arch,
                                          const ParameterSet& parameters);

}  // namespace moesaic
