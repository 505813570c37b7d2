#include "models/block.h"

#include <ATen/ops/arange.h>

#include "comm/trace_span.h"
#include "core/format.h"
#include "nn/norm.h"
#include "nn/ops.h"

namespace moesaic {
namespace {

SelfAttention make_attention(const arch::Options& arch, int layer, const std::string& prefix,
                             ModuleBuilder& builder) {
  SelfAttention::Options options;
  options.num_heads = arch.num_attention_heads;
  options.num_key_value_heads = arch.num_key_value_heads;
  options.head_dim = arch.head_dim;
  options.norm_eps = arch.rms_norm_eps;
  options.clip_qkv = arch.clip_qkv;
  options.layer = layer;
  return SelfAttention(options,
                       {builder.linear(prefix + "q_proj"), builder.linear(prefix + "k_proj"),
                        builder.linear(prefix + "v_proj"), builder.linear(prefix + "o_proj"),
                        builder.parameter_if_present(prefix + "q_norm.weight"),
                        builder.parameter_if_present(prefix + "k_norm.weight")});
}

// DeepSeek's code builds the norms of its latents with the default of its norm class.
constexpr double kLatentNormEps = 1e-6;

LatentAttention make_latent_attention(const arch::Options& arch, int layer,
                                      const std::string& prefix, ModuleBuilder& builder) {
  const bool has_query_latent = arch.q_lora_rank > 0;
  LatentAttention::Parameters parameters{
      .q_proj = builder.linear(prefix + (has_query_latent ? "q_b_proj" : "q_proj")),
      .q_a_proj = builder.linear_if_present(prefix + "q_a_proj"),
      .q_a_layernorm = builder.parameter_if_present(prefix + "q_a_layernorm.weight"),
      .kv_a_proj_with_mqa = builder.linear(prefix + "kv_a_proj_with_mqa"),
      .kv_a_layernorm = builder.parameter(prefix + "kv_a_layernorm.weight"),
      .kv_b_proj = builder.linear(prefix + "kv_b_proj"),
      .o_proj = builder.linear(prefix + "o_proj")};
  return LatentAttention({.num_heads = arch.num_attention_heads,
                          .kv_lora_rank = arch.kv_lora_rank,
                          .qk_nope_head_dim = arch.qk_nope_head_dim,
                          .qk_rope_head_dim = arch.qk_rope_head_dim,
                          .v_head_dim = arch.v_head_dim,
                          .softmax_factor = arch.rope.softmax_factor(),
                          .norm_eps = kLatentNormEps,
                          .layer = layer},
                         std::move(parameters));
}

std::variant<SelfAttention, LatentAttention> make_any_attention(const arch::Options& arch,
                                                                int layer, ModuleBuilder& builder) {
  const std::string prefix = arch::layer_prefix(layer) + "self_attn.";
  if (arch.is_mla()) return make_latent_attention(arch, layer, prefix, builder);
  return make_attention(arch, layer, prefix, builder);
}

Mlp make_mlp(const std::string& prefix, ModuleBuilder& builder) {
  return Mlp(builder.linear(prefix + "gate_proj"), builder.linear(prefix + "up_proj"),
             builder.linear(prefix + "down_proj"));
}

Router make_router(const arch::Options& arch, const std::string& prefix, int router,
                   const MoeTraining& training, ModuleBuilder& builder) {
  Router::Options options;
  options.num_experts = arch.num_experts;
  options.zero_expert_num = arch.zero_expert_num;
  options.num_experts_per_tok = arch.num_experts_per_tok;
  options.router_top_p = arch.router_top_p;
  options.logit_scale = arch.router_logit_scale();
  options.layer = router;
  options.training = training;
  options.norm_topk_prob = arch.norm_topk_prob;
  options.scoring =
      arch.scoring_func == "sigmoid" ? Router::Scoring::kSigmoid : Router::Scoring::kSoftmax;
  options.n_group = arch.n_group;
  options.topk_group = arch.topk_group;
  options.group_score_top = arch.group_score_top;
  options.scaling_factor = arch.routed_scaling_factor;
  return Router(options, builder.linear(prefix + "gate"),
                builder.parameter_if_present(prefix + "gate.e_score_correction_bias"));
}

std::unique_ptr<TokenDispatcher> make_dispatcher(const arch::Options& arch, int router,
                                                 const at::Tensor& slot_LE,
                                                 const RankContext& context) {
  if (context.plan.expert == 1) return local_dispatcher(arch.num_experts);
  const at::Tensor slot_E =
      slot_LE.defined() ? slot_LE.select(0, router) : at::arange(arch.num_experts, at::kLong);
  return all_to_all_dispatcher(slot_E.to(context.device), context.expert);
}

MoeLayer make_moe(const arch::Options& arch, const std::string& prefix, int router,
                  const MoeTraining& training, ModuleBuilder& builder, const RankContext& context) {
  const arch::NetworkNames& names = arch::network_names(arch);
  const auto expert = [&](const char* name) {
    return builder.grouped_linear(prefix + "experts." + name);
  };
  GroupedExperts experts(expert(names.gate), expert(names.up), expert(names.down));
  std::optional<SharedExpert> shared;
  if (arch.shared_intermediate_size > 0) {
    shared.emplace(make_mlp(prefix + names.shared, builder),
                   builder.linear_if_present(prefix + names.shared_gate));
  }
  return MoeLayer(make_router(arch, prefix, router, training, builder),
                  make_dispatcher(arch, router, training.slot_LE, context), std::move(experts),
                  std::move(shared));
}

std::variant<Mlp, MoeLayer> make_network(const arch::Options& arch, int layer, int router,
                                         const MoeTraining& moe, ModuleBuilder& builder,
                                         const RankContext& context) {
  const std::string prefix = arch::layer_prefix(layer);
  if (!arch.is_moe_layer(layer)) return make_mlp(prefix + "mlp.", builder);
  return make_moe(arch, prefix + arch::network_names(arch).block, router, moe, builder, context);
}

}  // namespace

Block::Block(const arch::Options& arch, int layer, int router, const MoeTraining& moe,
             ModuleBuilder& builder, const RankContext& context)
    : norm_eps_(arch.rms_norm_eps),
      input_norm_(builder.parameter(arch::layer_prefix(layer) + "input_layernorm.weight")),
      post_attention_norm_(
          builder.parameter(arch::layer_prefix(layer) + "post_attention_layernorm.weight")),
      attention_(make_any_attention(arch, layer, builder)),
      network_(make_network(arch, layer, router, moe, builder, context)) {}

at::Tensor Block::forward(const ForwardContext& context, const at::Tensor& x_TD,
                          const RotaryTable& rotary, std::vector<RouterRecord>& records) const {
  const Residual before =
      residual_norm(context, input_norm_, x_TD, norm_eps_, context.precision.compute);
  const at::Tensor attended_TD = std::visit(
      [&](const auto& attention) { return attention.forward(context, before.normal_TD, rotary); },
      attention_);
  const Residual between =
      add_residual_norm(context, post_attention_norm_, before.stream_TD, attended_TD, norm_eps_);
  const auto* moe = std::get_if<MoeLayer>(&network_);
  return add_residual(between.stream_TD,
                      moe != nullptr ? moe->forward(context, between.normal_TD, records)
                                     : std::get<Mlp>(network_).forward(context, between.normal_TD));
}

}  // namespace moesaic
