// Router: decides which experts a token goes to and with which weight. It moves nothing and
// computes no expert.
#pragma once

#include <ATen/core/Tensor.h>

#include "loss/loss_term.h"
#include "nn/forward_context.h"

namespace moesaic {

struct Routing {
  at::Tensor weight_TK;    // gate weights in the graph, master dtype
  at::Tensor selected_TK;  // int64, expert of each choice
  RouterRecord record;
};

/// Softmax, then top K (OLMoE, Mixtral, Qwen).
class Router {
 public:
  struct Options {
    std::int64_t num_experts = 0;
    std::int64_t num_experts_per_tok = 0;
    bool norm_topk_prob = false;  // the chosen weights are divided by their sum
  };

  Router(const Options& options, Parameter weight)
      : options_(options), weight_(std::move(weight)) {}

  /// x_TD in any dtype; logits, softmax and weights in the master dtype.
  Routing route(const ForwardContext& context, const at::Tensor& x_TD) const;
  void collect(ParameterSet& parameters) { parameters.add(weight_); }

 private:
  Options options_;
  Parameter weight_;  // [E, D]
};

}  // namespace moesaic
