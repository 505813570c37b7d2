#include "engine/assemble.h"

#include "adapt/begin.h"
#include "adapt/esft.h"
#include "adapt/lora.h"
#include "config/training_table.h"
#include "engine/add_continual.h"
#include "engine/add_privacy.h"
#include "engine/add_watches.h"
#include "engine/async_saver.h"
#include "engine/make_tasks.h"
#include "engine/open_data.h"
#include "engine/run_description.h"
#include "engine/starting_adapter.h"
#include "engine/starting_weights.h"
#include "models/make_model.h"
#include "moe/make_moe.h"
#include "nn/deferring_sink.h"
#include "optim/clip.h"
#include "store/model_files.h"

namespace moesaic {
namespace {

// -> the digest of the model that the run starts from, where something asks for it.
std::string add_model(const Recipe& recipe, const arch::Options& arch, const RankContext& context,
                      TrainingParts& parts) {
  const Precision precision = Precision::named(recipe.train.precision);
  parts.computation = {.precision = precision,
                       .matmul = chiefs_matmul(context.world, recipe.train.matmul),
                       .world = context.world};
  const StartingWeights weights(recipe, arch, context);
  parts.parameters = std::make_unique<ParameterSet>(
      training_table(recipe, arch),
      ParameterSet::Options{.seed = recipe.seed,
                            .dtype = precision.master,
                            .initialise = weights.need_initial_values(),
                            .device = context.device,
                            .rank = context.rank(),
                            .plan = context.plan});
  MoeRun moe = make_moe(recipe, arch, *parts.parameters, context);
  const auto adapters = make_lora(recipe, arch, *parts.parameters);
  parts.around = std::move(moe.parts);
  parts.slot_LE = moe.training.slot_LE;
  parts.model = make_model(
      {.arch = arch,
       .block_pass = recipe.train.checkpoint_activations ? recompute_activations : keep_activations,
       .moe = moe.training,
       .adapters = adapters.get()},
      *parts.parameters, context);
  parts.config = arch::to_config(arch);
  parts.base = weights.base();
  parts.origin = weights.load(*parts.parameters, context);
  load_starting_adapter(recipe, arch, parts.base, *parts.parameters, context);
  begin_adapters(recipe, arch, *parts.parameters, context);
  return recipe.continual ? weights.digest(recipe, context) : "";
}

AccumulatingSink& make_sink(const Recipe& recipe, const RankContext& context,
                            TrainingParts& parts) {
  auto sink = std::make_unique<AccumulatingSink>(
      *parts.parameters, context, parts.computation.matmul,
      GradientBuckets::Options{.spread = recipe.parallel.shard_optimizer});
  AccumulatingSink& accumulating = *sink;
  parts.gradients = sink->gradients();
  parts.sink = std::move(sink);
  if (context.plan.expert > 1)
    parts.sink = std::make_unique<DeferringSink>(std::move(parts.sink), context.world);
  return accumulating;
}

void add_chosen_experts(const Recipe& recipe, const arch::Options& arch, const RankContext& context,
                        TrainingParts& parts) {
  if (!recipe.adapt || !recipe.adapt->esft) return;
  EsftRun esft = make_esft(
      {.esft = *recipe.adapt->esft, .arch = arch, .max_steps = parts.max_steps}, *parts.parameters,
      *parts.model, parts.computation, *parts.train, context, std::move(parts.sink));
  parts.around.push_back(std::move(esft.part));
  parts.sink = std::move(esft.sink);
  parts.transforms.push_back(std::move(esft.transform));
}

void make_training(const Recipe& recipe, const arch::Options& arch, const RankContext& context,
                   const std::string& digest, const RunData& data, TrainingParts& parts) {
  AccumulatingSink& sink = make_sink(recipe, context, parts);
  add_chosen_experts(recipe, arch, context, parts);
  add_privacy(recipe, context, data, parts);
  std::unique_ptr<const Ownership> own;
  if (recipe.parallel.shard_optimizer)
    own = std::make_unique<const Ownership>(Ownership::make(*parts.parameters, context));
  auto optimizer = make_optimizer(recipe.optimizer, *parts.parameters, own.get());
  optimizer = add_continual(recipe, arch, context, digest, own.get(), std::move(optimizer), parts);
  if (own) optimizer = gathering(std::move(optimizer), [&sink] { sink.gather_parameters(); });
  parts.optimizer = std::move(optimizer);
  parts.transforms.push_back(std::make_unique<ClipByGlobalNorm>(recipe.train.clip_norm));
  parts.not_finite = not_finite_policy(recipe.train.on_nonfinite, context.log);
}

void make_saver(const Recipe& recipe, const RankContext& context, TrainingParts& parts) {
  parts.store.emplace(CheckpointStore::Options{recipe.run_dir + "/checkpoints",
                                               recipe.checkpoint.keep, recipe.checkpoint.dtype});
  if (!recipe.checkpoint.async) return void(parts.saver = make_sync_saver(context, *parts.store));
  const auto write = [store = *parts.store](const RankContext& own, std::int64_t step,
                                            const CheckpointContent& content) {
    store.save(own, step, content);
  };
  parts.saver = std::make_unique<AsyncSaver>(context, write);
}

// Token ids come from a tokenizer that nobody names: then the model keeps its own.
void add_tokenizer(const Recipe& recipe, const RankContext& context, const Tokenizer& tokenizer,
                   bool of_text, TrainingParts& parts) {
  parts.tokenizer = tokenizer.describe();
  if (!context.is_chief() || (recipe.tokenizer == "byte" && !of_text)) return;
  carry_tokenizer(recipe.tokenizer, tokenizer, parts.origin.files);
  carry_chat_template(recipe.data.chat_template, parts.origin.files);
}

}  // namespace

TrainingParts assemble_model(const Recipe& recipe, const arch::Options& arch,
                             const RankContext& context) {
  TrainingParts parts;
  add_model(recipe, arch, context, parts);
  add_tokenizer(recipe, context, *make_tokenizer(recipe.tokenizer), /*of_text=*/false, parts);
  return parts;
}

TrainingParts assemble(const Recipe& recipe, const arch::Options& arch,
                       const RankContext& context) {
  TrainingParts parts;
  const auto tokenizer = make_tokenizer(recipe.tokenizer);
  RunData data = open_data(recipe, arch, *tokenizer, context);
  parts.data = std::move(data.description);
  parts.train = std::move(data.train);
  parts.valid = std::move(data.valid);
  parts.max_steps = data.max_steps;
  const std::string digest = add_model(recipe, arch, context, parts);
  add_tokenizer(recipe, context, *tokenizer, data.of_text, parts);
  parts.losses = make_losses(recipe, arch);
  make_training(recipe, arch, context, digest, data, parts);
  make_saver(recipe, context, parts);
  parts.schedule = make_schedule(recipe, parts.max_steps, data.tasks);
  add_tasks(recipe, context, std::move(data.tasks), parts);
  add_watches(recipe, context, parts);
  describe_run(recipe, arch, context, data.train_sequences, parts);
  return parts;
}

}  // namespace moesaic
