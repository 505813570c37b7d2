// Router: decides which experts a token goes to and with which weight. It moves nothing and
// computes no expert.
#pragma once

#include <ATen/core/Tensor.h>

#include <optional>

#include "loss/loss_term.h"
#include "nn/forward_context.h"

namespace moesaic {

struct Routing {
  at::Tensor weight_TK;    // gate weights in the graph, master dtype
  at::Tensor selected_TK;  // int64, expert of each choice
  RouterRecord record;
};

/// Scores, then the top K: of softmax scores (OLMoE, Mixtral, Qwen), from the best groups of
/// experts (DeepSeek-V2, arXiv 2405.04434, section 2.2), or of sigmoid scores plus a correction
/// bias that decides the choice alone and not the weight (DeepSeek-V3, arXiv 2412.19437, eq. 16).
class Router {
 public:
  enum class Scoring { kSoftmax, kSigmoid };
  struct Options {
    std::int64_t num_experts = 0;
    std::int64_t num_experts_per_tok = 0;
    bool norm_topk_prob = false;  // the chosen weights are divided by their sum
    Scoring scoring = Scoring::kSoftmax;
    std::int64_t n_group = 1;  // only the topk_group best groups of experts are chosen from
    std::int64_t topk_group = 1;
    std::int64_t group_score_top = 1;  // a group's score: the sum of so many of its best
    double scaling_factor = 1;         // of the weights, at last
  };

  Router(const Options& options, Parameter weight, std::optional<Parameter> correction_bias = {})
      : options_(options), weight_(std::move(weight)), bias_(std::move(correction_bias)) {}

  /// x_TD in any dtype; logits, scores and weights in the master dtype.
  Routing route(const ForwardContext& context, const at::Tensor& x_TD) const;
  void collect(ParameterSet& parameters);

 private:
  at::Tensor select(const ForwardContext& context, const at::Tensor& score_TE) const;

  Options options_;
  Parameter weight_;               // [E, D]
  std::optional<Parameter> bias_;  // [E]
};

}  // namespace moesaic
