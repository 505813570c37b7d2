#include "optim/optimizer.h"

namespace moesaic {

std::unique_ptr<Optimizer> make_optimizer(const OptimizerOptions& o,
                                          const ParameterSet& parameters) {
  if (o.type == "sgd") return make_sgd(parameters, {o.momentum, o.weight_decay});
  return make_adamw(parameters, {o.betas.at(0), o.betas.at(1), o.eps, o.weight_decay});
}

}  // namespace moesaic
