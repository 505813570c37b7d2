#include "moe/router.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/gather.h>
#include <ATen/ops/sigmoid.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/topk.h>
#include <ATen/ops/zeros_like.h>

#include <limits>

#include "comm/trace_span.h"
#include "core/format.h"
#include "moe/capacity.h"
#include "nn/autograd.h"
#include "nn/token_uniform.h"

namespace moesaic {
namespace {

// Scores of the experts outside the best groups become -inf.
at::Tensor keep_best_groups(const at::Tensor& score_TE, const Router::Options& o) {
  const at::Tensor grouped = score_TE.view({score_TE.size(0), o.n_group, o.columns() / o.n_group});
  const at::Tensor score_TG = std::get<0>(at::topk(grouped, o.group_score_top, -1)).sum(-1);
  const at::Tensor best = std::get<1>(at::topk(score_TG, o.topk_group, -1));
  const at::Tensor kept_TG = at::zeros_like(score_TG, at::kBool).scatter_(1, best, true);
  return grouped
      .masked_fill(kept_TG.bitwise_not().unsqueeze(-1), -std::numeric_limits<double>::infinity())
      .view(score_TE.sizes());
}

// The best choices until their probabilities reach `top_p`; -1 for the others.
at::Tensor keep_top_p(const at::Tensor& p_TE, const at::Tensor& selected_TK, double top_p) {
  const at::Tensor p_TK = at::gather(p_TE, 1, selected_TK);
  return selected_TK.masked_fill(p_TK.cumsum(1).sub(p_TK).ge(top_p), -1);
}

// How often each expert was chosen; -1 counts for none.
at::Tensor count(const at::Tensor& selected_TK, std::int64_t experts) {
  return count_of(selected_TK.add(1), experts + 1).narrow(0, 1, experts);
}

// An identity: backward shows what comes back.
at::Tensor seen_by(const at::Tensor& weight, std::function<void(const at::Tensor& gradient)> look) {
  return record(
      "seen_by_probe", {weight}, weight.detach().clone(),
      [look = std::move(look)](const Tensors& d) -> Tensors {
        look(d[0]);
        return d;
      },
      Reach::kBeyond);
}

}  // namespace

Routing Routing::missing() const {
  const at::Tensor expert_E = at::arange(missing_TE.size(1), sent_TC.options());
  return {.weight_TC = missing_weight_TE,
          .sent_TC = expert_E.expand_as(missing_TE).masked_fill(missing_TE.bitwise_not(), -1)};
}

DenseGates Router::dense_gates() const {
  return {options_.scoring == Scoring::kSoftmax, options_.norm_topk_prob, options_.scaling_factor};
}

at::Tensor Router::jittered(const ForwardContext& context, const at::Tensor& x_TD) const {
  const MoeTraining& training = options_.training;
  if (!context.training || training.jitter_noise == 0) return x_TD;
  const RandomKey key(training.seed, RandomStream::kJitter,
                      static_cast<std::uint64_t>(context.step), format("{}", options_.layer));
  const at::Tensor u_TD =
      token_uniform(key, context.batch.place_T, x_TD.size(1)).to(x_TD.scalar_type());
  return x_TD.mul(u_TD.mul(2).sub(1).mul(training.jitter_noise).add(1));
}

at::Tensor Router::scaled(const at::Tensor& x) const {
  return options_.logit_scale == 1 ? x : x.mul(options_.logit_scale);
}

at::Tensor Router::scores(const at::Tensor& logits_TE) const {
  return options_.scoring == Scoring::kSoftmax ? at::softmax(logits_TE, -1)
                                               : at::sigmoid(logits_TE);
}

at::Tensor Router::select(const ForwardContext& context, const at::Tensor& score_TE) const {
  if (context.chosen_TK.defined()) return context.chosen_TK;
  at::Tensor choice_TE = score_TE;
  if (bias_ != nullptr)
    choice_TE = choice_TE.add(context.weights.get(*bias_, score_TE.scalar_type()));
  if (options_.n_group > 1) choice_TE = keep_best_groups(choice_TE, options_);
  const at::Tensor selected_TK = std::get<1>(at::topk(choice_TE, options_.num_experts_per_tok, -1));
  if (options_.router_top_p == 0) return selected_TK;
  return keep_top_p(score_TE.div(score_TE.sum(-1, true).add(kTinyScore)), selected_TK,
                    options_.router_top_p);
}

at::Tensor Router::weights(const at::Tensor& score_TE, const at::Tensor& selected_TK) const {
  at::Tensor weight_TK;
  if (options_.router_top_p == 0) {
    weight_TK = at::gather(score_TE, 1, selected_TK);
  } else {
    const at::Tensor none = selected_TK.lt(0);
    weight_TK = at::gather(score_TE, 1, selected_TK.masked_fill(none, 0)).masked_fill(none, 0);
  }
  const double tiny = options_.scoring == Scoring::kSoftmax ? 0.0 : kTinyScore;
  if (options_.norm_topk_prob) weight_TK = weight_TK.div(weight_TK.sum(-1, true).add(tiny));
  if (options_.scaling_factor != 1) weight_TK = weight_TK.mul(options_.scaling_factor);
  return weight_TK;
}

void Router::weigh(const ForwardContext& context, const at::Tensor& logits_TE,
                   const at::Tensor& score_TE, Routing& routing) const {
  const MoeTraining& training = options_.training;
  at::Tensor& selected_TK = routing.record.selected_TK;
  if (!context.training || training.gate_gradient == GateGradient::kTopK) {
    selected_TK = select(context, score_TE.detach());
    routing.weight_TC = weights(score_TE, selected_TK);
    return;
  }
  if (training.gate_gradient == GateGradient::kSparseMixer) {
    const RandomKey key(training.seed, RandomStream::kSample,
                        static_cast<std::uint64_t>(context.step), format("{}", options_.layer));
    const SparseMixerDraw draw =
        draw_experts(logits_TE, options_.num_experts_per_tok, training.sparse_mixer_eps, key,
                     context.batch, context.chosen_TK);
    selected_TK = draw.selected_TK;
    routing.weight_TC = sampled_weights(weights(score_TE.detach(), selected_TK), draw, logits_TE);
    return;
  }
  selected_TK = select(context, score_TE.detach());
  const at::Tensor weight_TK = weights(score_TE.detach(), selected_TK);
  const at::Tensor gates_TE = dense_gates().of(score_TE);
  routing.weight_TC = straight_through(weight_TK, selected_TK, gates_TE);
  if (training.gate_gradient == GateGradient::kDefaultMoe)
    routing.gates_TE = gates_TE;
  else
    routing.missing_weight_TE = zero_weights(gates_TE);
}

void Router::send(const ForwardContext& context, Routing& routing) const {
  const CapacityOptions& limit = options_.training.capacity;
  routing.sent_TC = routing.record.selected_TK;
  const bool limited = context.training && limit.factor > 0;
  routing.sent_everywhere = !limited && options_.zero_expert_num == 0 && options_.router_top_p == 0;
  if (options_.zero_expert_num > 0) {
    const at::Tensor real = routing.sent_TC.lt(options_.num_experts);
    routing.identity_T = routing.weight_TC.masked_fill(real, 0).sum(-1);
    routing.sent_TC = routing.sent_TC.masked_fill(real.bitwise_not(), -1);
  }
  if (!limited) return;
  const at::Tensor wanted_TK = routing.sent_TC;
  const std::int64_t rows = capacity_of(limit.factor, wanted_TK.size(0),
                                        options_.num_experts_per_tok, options_.num_experts);
  routing.sent_TC = drop_over_capacity(wanted_TK, routing.weight_TC, options_.num_experts, rows,
                                       limit.by_position);
  routing.record.dropped = routing.sent_TC.ne(wanted_TK).sum();
  if (limit.pad) routing.capacity = rows;
}

void Router::show_dense_gradient(const ForwardContext& context, const at::Tensor& x_TD,
                                 const at::Tensor& score_TE, Routing& routing) const {
  // It is linear in the weights' gradients: those of the chosen and of the missing experts add up.
  const auto add = [probe = context.probe, gates = dense_gates(), layer = options_.layer,
                    x_TD = x_TD.detach(), score_TE = score_TE.detach()](const at::Tensor& dG_TE) {
    probe->add_dense(layer, gates.backward(score_TE, dG_TE), x_TD);
  };
  routing.weight_TC = seen_by(
      routing.weight_TC, [add, sent_TC = routing.sent_TC, experts = options_.num_experts](
                             const at::Tensor& d_TC) { add(to_columns(d_TC, sent_TC, experts)); });
  at::Tensor& missing_TE = routing.missing_weight_TE;
  if (!missing_TE.defined()) missing_TE = at::zeros_like(score_TE.detach());
  missing_TE = seen_by(missing_TE, add);
}

Routing Router::route(const ForwardContext& context, const at::Tensor& x_TD) const {
  const Span span("router");
  Routing routing;
  const at::Tensor input_TD = jittered(context, x_TD.to(context.precision.master));
  const at::Tensor logits_TE = scaled(weight_.forward(context, input_TD));
  const at::Tensor score_TE = scores(logits_TE);
  const bool watched = context.probe != nullptr;
  // What the weight is multiplied by in the logits: the probe makes its gradient of that.
  const at::Tensor factor_TD = watched ? scaled(input_TD) : input_TD;
  const at::Tensor task_logits_TE =
      watched ? context.probe->watch(options_.layer, logits_TE, factor_TD) : logits_TE;
  // In training the task loss has scores of its own, watched or not: gradients then add up in one
  // order, and looking changes no bit.
  weigh(context, task_logits_TE, context.training ? scores(task_logits_TE) : score_TE, routing);
  send(context, routing);
  if (watched && context.probe->wants_dense())
    show_dense_gradient(context, factor_TD, score_TE, routing);
  if (routing.gates_TE.defined() || routing.missing_weight_TE.defined())
    routing.missing_TE = not_among(routing.sent_TC, options_.num_experts);
  const bool softmax = options_.scoring == Scoring::kSoftmax;
  RouterRecord& record = routing.record;
  record.logits_TE = logits_TE;
  record.probabilities_TE =
      softmax ? score_TE : score_TE.div(score_TE.sum(-1, true).add(kTinyScore));
  record.count_E = count(record.selected_TK, options_.columns());
  record.num_experts = options_.num_experts;
  if (!context.training) record.weight_TK = routing.weight_TC;
  return routing;
}

}  // namespace moesaic
