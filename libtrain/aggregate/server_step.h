// What the server makes of the silos' mean change: the optimizers of Reddi et al. (arXiv
// 2003.00295, algorithm 2) and the momentum of Hsu et al. (arXiv 1909.06335).
#pragma once

#include <cstddef>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "aggregate/options.h"

namespace moesaic::aggregate {

/// `change`: elements `first` ... of the mean change of parameter `name`; becomes what is added to
/// the global weights. The moments are "momentum/<name>" and "variance/<name>" of `state`; an
/// element that is not there yet begins with 0 and tau^2.
/// fedavgm: m = momentum m + change; fedadam, fedyogi, fedadagrad: no bias correction, and
/// fedadagrad without momentum (beta_1 = 0); the others: change. All times learning_rate.
void server_step(const AggregatorOptions& options, const std::string& name, std::size_t first,
                 std::span<double> change, std::map<std::string, std::vector<double>>& state);

}  // namespace moesaic::aggregate
