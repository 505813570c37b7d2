// A Mixture-of-Experts layer: the router decides, the dispatcher moves, the experts compute; a
// shared expert, where there is one, adds its part.
#pragma once

#include <ATen/core/grad_mode.h>

#include <memory>
#include <optional>

#include "comm/trace_span.h"
#include "moe/dispatcher.h"
#include "moe/grouped_experts.h"
#include "moe/router.h"
#include "moe/shared_expert.h"

namespace moesaic {

class MoeLayer {
 public:
  MoeLayer(Router router, std::unique_ptr<TokenDispatcher> dispatcher, GroupedExperts experts,
           std::optional<SharedExpert> shared)
      : router_(std::move(router)),
        dispatcher_(std::move(dispatcher)),
        experts_(std::move(experts)),
        shared_(std::move(shared)) {}

  /// x_TD -> [T, D]; appends this layer's record. Collective over the expert group.
  at::Tensor forward(const ForwardContext& context, const at::Tensor& x_TD,
                     std::vector<RouterRecord>& records) const {
    Routing routing = router_.route(context, x_TD);
    const Dispatched tokens = dispatch(context, x_TD, routing);
    const bool averages = routing.gates_TE.defined();
    const Arrival home = tokens.combine(
        experts_.forward(context, tokens, averages ? &routing.record.output_sum : nullptr));
    routing.record.expert_rows = tokens.rows_RD.size(0);
    records.push_back(routing.record);
    at::Tensor y_TD;
    if (shared_) y_TD = shared_->forward(context, x_TD);
    at::Tensor routed_TD = wait_for(home);
    if (routing.missing_weight_TE.defined() && at::GradMode::is_enabled())
      routed_TD = routed_TD.add(missing_experts(context, x_TD, routing));
    if (averages) {
      routed_TD = with_default_outputs(routed_TD, routing.gates_TE, routing.missing_TE,
                                       router_.expert_average_ED());
    }
    if (routing.identity_T.defined())
      routed_TD = routed_TD.add(x_TD.mul(routing.identity_T.to(x_TD.scalar_type()).unsqueeze(1)));
    return shared_ ? routed_TD.add(y_TD) : routed_TD;
  }

 private:
  Dispatched dispatch(const ForwardContext& context, const at::Tensor& x_TD,
                      const Routing& routing) const {
    const Span span("dispatch");
    return dispatcher_->dispatch(context, x_TD, routing);
  }
  /// Zero; gives the weights of the missing experts their gradient.
  at::Tensor missing_experts(const ForwardContext& context, const at::Tensor& x_TD,
                             const Routing& routing) const {
    const Dispatched tokens = dispatch(context, x_TD.detach(), routing.missing());
    return wait_for(tokens.combine(experts_.forward_for_weights(context, tokens)));
  }
  static at::Tensor wait_for(const Arrival& home) {
    const Span span("combine");
    return home();
  }

  Router router_;
  std::unique_ptr<TokenDispatcher> dispatcher_;
  GroupedExperts experts_;
  std::optional<SharedExpert> shared_;
};

}  // namespace moesaic
