// Router: decides which experts a token goes to and with which weight. It moves nothing and
// computes no expert.
#pragma once

#include <ATen/core/Tensor.h>

#include "loss/model.h"
#include "moe/gate_gradient.h"
#include "moe/training.h"
#include "nn/linear.h"

namespace moesaic {

/// C choices of a token, as many as the router makes; all experts in missing().
struct Routing {
  at::Tensor weight_TC;          // gate weights in the graph, master dtype
  at::Tensor sent_TC;            // int64, expert of each choice; -1 where it goes to none
  bool sent_everywhere = false;  // known without a look at them: there is no -1
  std::int64_t capacity = 0;     // rows that each expert gets of this micro-batch; 0: as they come
  at::Tensor identity_T = {};    // weight of the token itself: its choices that compute nothing
  at::Tensor gates_TE = {};      // default_moe: the dense gates, in the graph
  at::Tensor missing_TE = {};    // bool: the experts that a token is not sent to, where they matter
  /// Where a gradient asks for every expert: what the missing ones weigh, zero, in the graph.
  at::Tensor missing_weight_TE = {};
  RouterRecord record = {};

  /// Every token to the experts that it is not sent to.
  Routing missing() const;
};

/// Scores, then the top K: of softmax scores (OLMoE, Mixtral, Qwen), from the best groups of
/// experts (DeepSeek-V2, arXiv 2405.04434, section 2.2), or of sigmoid scores plus a correction
/// bias that decides the choice alone and not the weight (DeepSeek-V3, arXiv 2412.19437, eq. 16).
/// A token may choose fewer: the best until their probabilities add up to `router_top_p` (Huang et
/// al. 2024, arXiv 2403.07652, eq. 5). The last `zero_expert_num` experts give the token back as it
/// is (Jin et al. 2024, MoE++, arXiv 2410.07348; the key is LongCat-Flash's).
class Router {
 public:
  enum class Scoring { kSoftmax, kSigmoid };
  struct Options {
    std::int64_t num_experts = 0;  // that compute something
    std::int64_t zero_expert_num = 0;
    std::int64_t num_experts_per_tok = 0;
    double router_top_p = 0;      // 0 = always so many
    bool norm_topk_prob = false;  // the chosen weights are divided by their sum
    double logit_scale = 1;       // of the products, before anything looks at them
    Scoring scoring = Scoring::kSoftmax;
    std::int64_t n_group = 1;  // only the topk_group best groups of experts are chosen from
    std::int64_t topk_group = 1;
    std::int64_t group_score_top = 1;  // a group's score: the sum of so many of its best
    double scaling_factor = 1;         // of the weights, at last
    std::int64_t layer = 0;            // among the layers with experts
    MoeTraining training = {};

    std::int64_t columns() const { return num_experts + zero_expert_num; }
  };

  /// `weight` [E, D], `correction_bias` [E] or nullptr.
  Router(const Options& options, Linear weight, const Parameter* correction_bias = nullptr)
      : options_(options), weight_(std::move(weight)), bias_(correction_bias) {}

  /// x_TD in any dtype; logits, scores and weights in the master dtype.
  Routing route(const ForwardContext& context, const at::Tensor& x_TD) const;

  /// default_moe: this layer's part of the averages [E, D].
  at::Tensor expert_average_ED() const {
    return options_.training.expert_average_LED.select(0, options_.layer);
  }

 private:
  DenseGates dense_gates() const;
  at::Tensor jittered(const ForwardContext& context, const at::Tensor& x_TD) const;
  at::Tensor scaled(const at::Tensor& x) const;
  at::Tensor scores(const at::Tensor& logits_TE) const;
  at::Tensor select(const ForwardContext& context, const at::Tensor& score_TE) const;
  at::Tensor weights(const at::Tensor& score_TE, const at::Tensor& selected_TK) const;
  /// Weights whose gradient is that of the estimator.
  void weigh(const ForwardContext& context, const at::Tensor& logits_TE, const at::Tensor& score_TE,
             Routing& routing) const;
  /// Which choices reach an expert.
  void send(const ForwardContext& context, Routing& routing) const;
  void show_dense_gradient(const ForwardContext& context, const at::Tensor& x_TD,
                           const at::Tensor& score_TE, Routing& routing) const;

  Options options_;
  Linear weight_;
  const Parameter* bias_;
};

}  // namespace moesaic
