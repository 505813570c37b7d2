// TokenDispatcher: moves tokens to their experts and the results back. It knows neither how they
// were chosen nor what an expert computes, and keeps no state between calls.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <memory>
#include <vector>

#include "moe/router.h"
#include "nn/ops.h"
#include "parallel/rank_context.h"

namespace moesaic {

/// Waits for results that are on their way home -> [T, D], the sum over a token's choices in fixed
/// order. Collective over the expert group.
using Arrival = std::function<at::Tensor()>;

/// Rows of this rank's experts, grouped by expert. R received rows.
struct Dispatched {
  at::Tensor rows_RD;   // hidden states, in the graph
  at::Tensor weight_R;  // gate weight of each row, in the graph
  RowGroups groups;     // of the rows, one for each local expert
  /// Sends results [R, D], in the order of rows_RD, on their way home; there is time to compute
  /// before they arrive. Collective over the expert group.
  std::function<Arrival(const at::Tensor& result_RD)> combine;
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
