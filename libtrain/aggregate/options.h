// The keys of federated.aggregator.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace moesaic::aggregate {

struct AggregatorOptions {
  std::string type = "fedavg";       // fedavg | fedavgm | fedprox | fedadam | fedyogi | fedadagrad
                                     // | fednova | scaffold | median | trimmed_mean | krum
                                     // | multi_krum | bulyan | norm_bound
  std::string weights = "examples";  // examples | tokens | uniform: of the silos in a mean
  std::string lora = "average";      // average | frozen_a | stacking | residual | svd
  std::string experts = "uniform";   // uniform (as the rest) | routed_tokens
  std::vector<std::string> private_names;  // key `private`: parameters that stay in their silo
  double learning_rate = 1.0;              // of the server
  double momentum = 0.9;                   // fedavgm
  double beta_1 = 0.9;                     // fedadam, fedyogi
  double beta_2 = 0.99;                    // fedadam, fedyogi
  double tau = 1e-3;                       // fedadam, fedyogi, fedadagrad
  double mu = 0.01;                        // fedprox, in the silo
  std::int64_t f = 1;                      // krum, multi_krum, bulyan: hostile silos
  std::optional<std::int64_t> keep;        // multi_krum; absent: n - f
  double trim = 0.2;                       // trimmed_mean: share cut at each end
  double bound = 1.0;                      // norm_bound: largest norm of a silo's change
  std::optional<std::int64_t> rank;        // lora svd; absent: the adapter's
};

/// Whether the rule compares the silos' changes with each other, so that it must see each one.
/// Such rules do not look at `weights`.
bool is_robust(const std::string& type);

/// The fewest silos that the rule is defined for: 2 f + 3 (krum, multi_krum), 4 f + 3 (bulyan),
/// else 1.
std::int64_t fewest_silos(const AggregatorOptions& options);

/// For a round from which silos were refused before their changes met: each of them is one of the f
/// hostile ones, and the rule stands as many fewer among those that are left.
AggregatorOptions without_refused(AggregatorOptions options, std::size_t refused);

}  // namespace moesaic::aggregate
