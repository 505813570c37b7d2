#include "models/transformer.h"

#include "core/format.h"
#include "nn/ops.h"

namespace moesaic {
namespace {

LinearParameters linear_parameters(ParameterFactory& factory, const std::string& name) {
  return {factory.make(name + ".weight"), factory.make_if_present(name + ".bias")};
}

SelfAttention make_attention(const arch::Options& arch, const std::string& prefix,
                             ParameterFactory& factory) {
  SelfAttention::Options options;
  options.num_heads = arch.num_attention_heads;
  options.num_key_value_heads = arch.num_key_value_heads;
  options.head_dim = arch.head_dim;
  options.norm_eps = arch.rms_norm_eps;
  options.clip_qkv = arch.clip_qkv;
  return SelfAttention(
      options,
      {linear_parameters(factory, prefix + "q_proj"), linear_parameters(factory, prefix + "k_proj"),
       linear_parameters(factory, prefix + "v_proj"), linear_parameters(factory, prefix + "o_proj"),
       factory.make_if_present(prefix + "q_norm.weight"),
       factory.make_if_present(prefix + "k_norm.weight")});
}

std::variant<Mlp, MoeLayer> make_network(const arch::Options& arch, const std::string& prefix,
                                         ParameterFactory& factory, const RankContext& context) {
  if (!arch.is_moe()) {
    return Mlp(linear_parameters(factory, prefix + "gate_proj"),
               linear_parameters(factory, prefix + "up_proj"),
               linear_parameters(factory, prefix + "down_proj"));
  }
  Router router({arch.num_experts, arch.num_experts_per_tok, arch.norm_topk_prob},
                factory.make(prefix + "gate.weight"));
  auto dispatcher = context.plan.expert == 1
                        ? local_dispatcher(arch.num_experts)
                        : all_to_all_dispatcher(arch.num_experts, context.expert);
  GroupedExperts experts(factory.make(prefix + "experts.gate_proj.weight"),
                         factory.make(prefix + "experts.up_proj.weight"),
                         factory.make(prefix + "experts.down_proj.weight"));
  return MoeLayer(std::move(router), std::move(dispatcher), std::move(experts));
}

}  // namespace

Block::Block(const arch::Options& arch, int layer, ParameterFactory& factory,
             const RankContext& context)
    : norm_eps_(arch.rms_norm_eps),
      input_norm_(factory.make(format("model.layers.{}.input_layernorm.weight", layer))),
      post_attention_norm_(
          factory.make(format("model.layers.{}.post_attention_layernorm.weight", layer))),
      attention_(make_attention(arch, format("model.layers.{}.self_attn.", layer), factory)),
      network_(make_network(arch, format("model.layers.{}.mlp.", layer), factory, context)) {}

at::Tensor Block::forward(const ForwardContext& context, const at::Tensor& x_TD,
                          const RotaryTable& rotary, std::vector<RouterRecord>& records) const {
  const at::ScalarType compute = context.precision.compute;
  const at::Tensor a_TD = rms_norm(context, input_norm_, x_TD, norm_eps_, compute);
  const at::Tensor h_TD = x_TD.add(attention_.forward(context, a_TD, rotary));
  const at::Tensor b_TD = rms_norm(context, post_attention_norm_, h_TD, norm_eps_, compute);
  if (const auto* moe = std::get_if<MoeLayer>(&network_))
    return h_TD.add(moe->forward(context, b_TD, records));
  return h_TD.add(std::get<Mlp>(network_).forward(context, b_TD));
}

void Block::collect(ParameterSet& parameters) {
  parameters.add(input_norm_);
  attention_.collect(parameters);
  parameters.add(post_attention_norm_);
  std::visit([&parameters](auto& network) { network.collect(parameters); }, network_);
}

Transformer::Transformer(const Options& options, const RankContext& context)
    : options_(options),
      factory_(options.arch,
               {options.seed, options.dtype, context.device, context.rank(), context.plan}),
      embedding_(factory_.make("model.embed_tokens.weight")),
      norm_(factory_.make("model.norm.weight")),
      head_(factory_.make_if_present("lm_head.weight")) {
  for (int layer = 0; layer < options.arch.num_hidden_layers; ++layer) {
    blocks_.push_back(std::make_unique<Block>(options_.arch, layer, factory_, context));
  }
  factory_.check_complete();
  parameters_.add(embedding_);
  for (auto& block : blocks_) block->collect(parameters_);
  parameters_.add(norm_);
  if (head_) parameters_.add(*head_);
}

Transformer::Output Transformer::forward(const ForwardContext& context) const {
  Output output;
  const RotaryTable rotary = RotaryTable::make(context.batch.positions_T, options_.arch.head_dim,
                                               options_.arch.rope_theta, context.precision.master);
  at::Tensor x_TD = embedding(context, embedding_, context.batch.ids_T);
  for (const auto& block : blocks_) x_TD = block->forward(context, x_TD, rotary, output.routers);
  output.hidden_TD =
      rms_norm(context, norm_, x_TD, options_.arch.rms_norm_eps, context.precision.compute);
  return output;
}

}  // namespace moesaic
