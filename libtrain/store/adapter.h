// Adapter: pairs of low-rank factors beside the weights of a model, and weights trained in full.
#pragma once

#include <ATen/core/Tensor.h>

#include <map>
#include <string>

namespace moesaic {

/// Beside a weight W [N, K], which with it is W + scale B A; beside those of routed experts [E, N,
/// K] for each one. With DoRA each row of the sum is brought to the length that `magnitude` says
/// (Liu et al. 2024, arXiv 2402.09353, section 4.1).
struct AdapterPair {
  at::Tensor a;          // [r, K] or [E, r, K]
  at::Tensor b;          // [N, r] or [E, N, r]
  at::Tensor magnitude;  // [N] or [E, N]; not defined: no DoRA
  double scale = 1;

  std::int64_t rank() const { return a.size(-2); }
};

/// Under the names of the parameters of the model, "experts.<i>." joined to "experts.".
struct Adapter {
  std::map<std::string, AdapterPair> pairs;  // by the name of the weight
  std::map<std::string, at::Tensor> saved;   // whole values in place of the model's
};

/// Rows [first, first + count) of a weight (of routed experts: experts) with a pair, computed
/// in the type of `weight`, which holds these rows.
at::Tensor adapted_rows(const AdapterPair& pair, const at::Tensor& weight, std::int64_t first);

}  // namespace moesaic
