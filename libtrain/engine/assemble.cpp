#include "engine/assemble.h"

#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "config/check.h"
#include "data/dataset.h"
#include "engine/async_saver.h"
#include "loss/balance.h"
#include "loss/cross_entropy.h"
#include "nn/deferring_sink.h"
#include "optim/clip.h"
#include "store/model_files.h"
#include "store/model_source.h"
#include "store/upcycled_source.h"

namespace moesaic {
namespace {

void open_data(const Recipe& recipe, const arch::Options& arch, const Tokenizer& tokenizer,
               const RankContext& context, TrainingParts& parts) {
  parts.tokenizer = tokenizer.describe();
  std::string paths;
  if (context.is_chief()) {
    const std::string cache = recipe.data.cache.value_or(recipe.run_dir + "/cache");
    paths = build_corpora(recipe.data, tokenizer, cache, context.log).to_json();
  }
  const auto corpora = CorpusPaths::from_json(context.world.broadcast(paths, 0, "data.paths"));
  parts.train = open_train(recipe, corpora, arch.vocab_size);
  if (!recipe.data.valid.empty()) parts.valid = open_valid(recipe, corpora, arch.vocab_size);
}

std::int64_t steps_of(const Recipe& recipe, const TokenStream& train) {
  if (recipe.train.max_steps) return *recipe.train.max_steps;
  const double sequences =
      recipe.train.epochs.value_or(1.0) * static_cast<double>(train.sequences());
  return std::max<std::int64_t>(
      1, static_cast<std::int64_t>(
             std::ceil(sequences / static_cast<double>(recipe.train.global_batch_size))));
}

MoeTraining moe_training(const Recipe& recipe, const arch::Options& arch,
                         const RankContext& context) {
  const MoeOptions& moe = recipe.moe;
  MoeTraining training;
  training.seed = recipe.seed;
  training.jitter_noise = moe.router_jitter_noise;
  training.gate_gradient = gate_gradient_named(moe.gate_gradient);
  training.sparse_mixer_eps = moe.sparse_mixer_eps;
  training.capacity = {.factor = moe.capacity_factor,
                       .by_position = moe.drop == "position",
                       .pad = moe.pad_to_capacity};
  if (training.gate_gradient == GateGradient::kDefaultMoe) {
    training.expert_average_LED = at::zeros(
        {arch.num_routers(), arch.num_experts, arch.hidden_size},
        at::TensorOptions(Precision::named(recipe.train.precision).master).device(context.device));
  }
  return training;
}

// What the routers of the model change by rule.
void make_feedback(const Recipe& recipe, const MoeRun& run, TrainingParts& parts) {
  const MoeOptions& moe = recipe.moe;
  if (moe.balance.moves_bias()) {
    std::vector<at::Tensor> biases;
    for (const Parameter& parameter : parts.model->parameters()) {
      if (arch::is_correction_bias(parameter.name)) biases.push_back(parameter.tensor);
    }
    parts.feedback.push_back(std::make_unique<BiasBalance>(biases, moe.balance.update_speed));
  }
  const at::Tensor& average_LED = run.training.expert_average_LED;
  if (average_LED.defined()) {
    parts.feedback.push_back(
        std::make_unique<ExpertAverages>(average_LED, run.slot_LE, moe.expert_average_decay));
  }
}

// Experts that never move have a placement, too; only one that balances is among the feedback.
at::Tensor make_placement(const Recipe& recipe, const arch::Options& arch,
                          const RankContext& context, TrainingParts& parts) {
  auto placement = std::make_unique<ExpertPlacement>(arch.num_routers(), arch.num_experts,
                                                     context.plan.expert, context.device);
  const at::Tensor slot_LE = placement->slot_LE();
  if (recipe.moe.placement == "balanced" && context.plan.expert > 1) {
    parts.placement = placement.get();
    parts.feedback.push_back(std::move(placement));
  }
  return slot_LE;
}

// Parameters of `arch` that a model as `weights` says does not have: layers for multi-token
// prediction, correction biases. They begin anew.
std::set<std::string> lacking(const arch::Options& arch, const arch::Options& weights) {
  std::set<std::string> names;
  for (const arch::ParameterInfo& info : arch::parameter_table(arch)) names.insert(info.name);
  for (const arch::ParameterInfo& info : arch::parameter_table(weights)) names.erase(info.name);
  return names;
}

void take_weights(const ModelSource& source, const std::set<std::string>& anew,
                  const RankContext& context, TrainingParts& parts) {
  StateDict state = state_of(parts.model->parameters());
  std::erase_if(state, [&](const StateEntry& entry) { return anew.contains(entry.name); });
  if (!anew.empty()) {
    context.log.warn(
        "{} has no weights for {} of the model's parameters, {} among them: they begin "
        "anew",
        source.path(), anew.size(), *anew.begin());
  }
  source.load(context, state, {});
  parts.origin = source.origin(context);
  context.log.info("weights from {}", source.path());
}

void make_model(const Recipe& recipe, const arch::Options& arch, const RankContext& context,
                TrainingParts& parts) {
  parts.precision = Precision::named(recipe.train.precision);
  parts.matmul = chiefs_matmul(context.world, recipe.train.matmul);
  const BlockPass pass =
      recipe.train.checkpoint_activations ? recompute_activations : keep_activations;
  MoeRun run;
  if (arch.is_moe()) {
    run = {moe_training(recipe, arch, context), make_placement(recipe, arch, context, parts)};
  }
  std::unique_ptr<ModelSource> source;
  std::set<std::string> anew;
  if (recipe.model.from) {
    source =
        upcycled(ModelSource::open(context, *recipe.model.from), recipe.model.upcycle, recipe.seed);
    anew = lacking(arch, source->arch());
  }
  parts.model = std::make_unique<Transformer>(
      Transformer::Options{.arch = arch,
                           .seed = recipe.seed,
                           .dtype = parts.precision.master,
                           .initialise = source == nullptr || !anew.empty(),
                           .block_pass = pass,
                           .moe = run},
      context);
  if (arch.is_moe()) make_feedback(recipe, run, parts);
  if (source) take_weights(*source, anew, context, parts);
}

std::unique_ptr<LossTerm> balance_loss(const BalanceOptions& balance) {
  const double c = balance.coefficient;
  if (balance.type == "switch") return std::make_unique<SwitchBalance>(c);
  if (balance.type == "transformers") return std::make_unique<TransformersBalance>(c);
  if (balance.type == "gshard") return std::make_unique<GshardBalance>(c);
  if (balance.type == "global") return std::make_unique<GlobalBalance>(c);
  if (balance.type == "sequence" || balance.type == "bias+sequence")
    return std::make_unique<SequenceBalance>(c);
  return nullptr;  // none, or a bias alone
}

void make_losses(const Recipe& recipe, const arch::Options& arch, TrainingParts& parts) {
  parts.losses.push_back(std::make_unique<CrossEntropy>());
  if (arch.num_nextn_predict_layers > 0)
    parts.losses.push_back(std::make_unique<FurtherCrossEntropy>(recipe.train.mtp_coefficient));
  if (!arch.is_moe()) return;
  const MoeOptions& moe = recipe.moe;
  if (auto balance = balance_loss(moe.balance)) parts.losses.push_back(std::move(balance));
  if (moe.router_z_coefficient > 0)
    parts.losses.push_back(std::make_unique<RouterZ>(moe.router_z_coefficient));
  if (moe.router_entropy_coefficient > 0)
    parts.losses.push_back(std::make_unique<RouterEntropy>(moe.router_entropy_coefficient));
}

void make_training(const Recipe& recipe, const RankContext& context, TrainingParts& parts) {
  const ParameterSet& parameters = parts.model->parameters();
  parts.buckets =
      std::make_unique<GradientBuckets>(parameters, context, GradientBuckets::Options{});
  parts.sink = std::make_unique<AccumulatingSink>(parameters, *parts.buckets, parts.matmul);
  if (context.plan.expert > 1)
    parts.sink = std::make_unique<DeferringSink>(std::move(parts.sink), context.world);
  parts.transforms.push_back(std::make_unique<ClipByGlobalNorm>(recipe.train.clip_norm));

  const OptimizerOptions& o = recipe.optimizer;
  parts.optimizer =
      o.type == "sgd"
          ? make_sgd(parameters, {o.momentum, o.weight_decay})
          : make_adamw(parameters, {o.betas.at(0), o.betas.at(1), o.eps, o.weight_decay});
  const ScheduleOptions& s = recipe.schedule;
  parts.schedule.emplace(
      Schedule::Options{s.type, o.learning_rate, s.warmup_steps, parts.max_steps, s.min_ratio});
}

void make_saver(const Recipe& recipe, const RankContext& context, TrainingParts& parts) {
  parts.store.emplace(CheckpointStore::Options{recipe.run_dir + "/checkpoints",
                                               recipe.checkpoint.keep, recipe.checkpoint.dtype});
  if (!recipe.checkpoint.async) {
    parts.saver = make_sync_saver(context, *parts.store);
    return;
  }
  const auto write = [store = *parts.store](const RankContext& own, std::int64_t step,
                                            const CheckpointContent& content) {
    store.save(own, step, content);
  };
  parts.saver = std::make_unique<AsyncSaver>(context, write);
}

void describe(const Recipe& recipe, const RankContext& context, const TrainingParts& parts) {
  const auto& arch = parts.model->arch();
  const auto millions = static_cast<double>(parts.model->parameters().global_count()) / 1e6;
  const std::string experts =
      arch.is_moe() ? format(", {} experts, {} a token", arch.num_experts, arch.num_experts_per_tok)
                    : "";
  context.log.info("model     {}, {:.2f} M parameters, {} layers{}", arch.model_type, millions,
                   arch.num_hidden_layers, experts);
  context.log.info(
      "layout    {} ranks, expert groups of {}, {} micro-batches of {} in {} rounds a step",
      context.plan.world, context.plan.expert, parts.train->micro_batches_per_step(),
      recipe.train.micro_batch_size,
      (parts.train->micro_batches_per_step() + context.plan.world - 1) / context.plan.world);
  context.log.info("numbers   {}, products by {}, seed {}{}", recipe.train.precision,
                   name_of(parts.matmul), recipe.seed,
                   recipe.train.checkpoint_activations ? ", activations recomputed" : "");
  context.log.info("data      {} training sequences, {} validation sequences",
                   parts.train->sequences(), parts.valid ? parts.valid->sequences() : 0);
  std::string chain = "sync";
  for (const auto& transform : parts.transforms) chain += " -> " + transform->name();
  context.log.info("gradient  {} -> {}", chain, recipe.optimizer.type);
}

}  // namespace

TrainingParts assemble(const Recipe& recipe, const arch::Options& arch,
                       const RankContext& context) {
  TrainingParts parts;
  const auto tokenizer = make_tokenizer(recipe.tokenizer);
  open_data(recipe, arch, *tokenizer, context, parts);
  parts.max_steps = steps_of(recipe, *parts.train);
  make_model(recipe, arch, context, parts);
  // Token ids come from a tokenizer that nobody names: then the model keeps its own.
  const bool named = reads_text(recipe.data) || recipe.tokenizer != "byte";
  if (named && context.is_chief())
    carry_tokenizer(recipe.tokenizer, *tokenizer, parts.origin.files);
  make_losses(recipe, arch, parts);
  make_training(recipe, context, parts);
  make_saver(recipe, context, parts);
  describe(recipe, context, parts);
  return parts;
}

}  // namespace moesaic
