#include "engine/run_description.h"

#include "arch/cost.h"

namespace moesaic {
namespace {

void describe_trained(const RankContext& context, const ParameterSet& parameters) {
  const arch::ParameterTable table(parameters.begin(), parameters.end());
  for (const arch::GroupCount& count : arch::count_groups(table)) {
    context.log.info("trained   {:<10} {:>13} of {:>13}", arch::name_of(count.group),
                     count.trainable, count.parameters);
  }
}

// What is kept in another storage than the masters.
void describe_base(const RankContext& context, const LoraOptions& lora,
                   const ParameterSet& parameters) {
  std::int64_t values = 0, bytes = 0;
  for (const Parameter& parameter : parameters) {
    if (parameter.storage == arch::Storage::kMaster) continue;
    values += parameter.numel();
    bytes += parameter.bytes(/*master_bytes=*/0);
  }
  if (values == 0) return;
  context.log.info("base      {} values in {}, {:.2f} bits each", values, lora.base,
                   8 * static_cast<double>(bytes) / static_cast<double>(values));
}

}  // namespace

void describe_run(const Recipe& recipe, const arch::Options& arch, const RankContext& context,
                  std::int64_t train_sequences, const TrainingParts& parts) {
  const auto millions = static_cast<double>(parts.parameters->global_count()) / 1e6;
  // How many units of privacy the first step has drawn is nobody's business.
  const std::int64_t micro_batches =
      recipe.privacy ? recipe.train.global_batch_size / recipe.train.micro_batch_size
                     : parts.train->size(0).micro_batches;
  const std::string experts =
      arch.is_moe() ? format(", {} experts, {} a token", arch.num_experts, arch.num_experts_per_tok)
                    : "";
  context.log.info("model     {}, {:.2f} M parameters, {} layers{}", arch.model_type, millions,
                   arch.num_hidden_layers, experts);
  if (recipe.adapt) describe_trained(context, *parts.parameters);
  if (recipe.adapt && recipe.adapt->lora)
    describe_base(context, *recipe.adapt->lora, *parts.parameters);
  context.log.info(
      "layout    {} ranks, expert groups of {}, {} micro-batches of {} in {} rounds a step",
      context.plan.world, context.plan.expert, micro_batches, recipe.train.micro_batch_size,
      (micro_batches + context.plan.world - 1) / context.plan.world);
  context.log.info("numbers   {}, products by {}, seed {}{}", recipe.train.precision,
                   name_of(parts.computation.matmul), recipe.seed,
                   recipe.train.checkpoint_activations ? ", activations recomputed" : "");
  context.log.info("data      {} training sequences, {} validation sequences", train_sequences,
                   parts.valid ? parts.valid->sequences() : 0);
  std::string chain = "sync";
  for (const auto& transform : parts.transforms) chain += " -> " + transform->name();
  context.log.info("gradient  {} -> {}{}", chain, recipe.optimizer.type,
                   recipe.parallel.shard_optimizer ? ", sharded" : "");
}

}  // namespace moesaic
