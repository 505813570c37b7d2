// TokenDispatcher: moves tokens to their experts and the results back. It knows neither how they
// were chosen nor what an expert computes, and keeps no state between calls.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <memory>
#include <vector>

#include "moe/router.h"
#include "nn/forward_context.h"
#include "parallel/rank_context.h"

namespace moesaic {

/// Rows of this rank's experts, grouped by expert. R received rows, e local experts.
struct Dispatched {
  at::Tensor rows_RD;                 // hidden states, in the graph
  at::Tensor weight_R;                // gate weight of each row, in the graph
  at::Tensor example_R;               // int64: example of each row
  std::vector<std::int64_t> offsets;  // e + 1: rows of expert i are [offsets[i], offsets[i+1])
  /// Sends results [R, D], in the order of rows_RD, on their way home; what it returns waits for
  /// them -> [T, D], the sum over a token's choices in fixed order. Compute between the two.
  /// Collective over the expert group.
  std::function<std::function<at::Tensor()>(const at::Tensor& result_RD)> combine;
};

class TokenDispatcher {
 public:
  virtual ~TokenDispatcher() = default;
  /// Collective over the expert group: every rank calls it for every MoE layer of every round, also
  /// without tokens.
  virtual Dispatched dispatch(const ForwardContext& context, const at::Tensor& x_TD,
                              const Routing& routing) const = 0;
};

/// All experts are here.
std::unique_ptr<TokenDispatcher> local_dispatcher(std::int64_t num_experts);

/// Experts are split over the expert group as `placement` says (moe/placement.h), a tensor that may
/// change between steps: all-to-all with uneven counts.
std::unique_ptr<TokenDispatcher> all_to_all_dispatcher(const at::Tensor& placement_E,
                                                       const Communicator& expert_group);

}  // namespace moesaic
