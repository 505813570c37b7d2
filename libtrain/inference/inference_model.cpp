#include "inference/inference_model.h"

#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <map>
#include <numeric>
#include <vector>

#include "config/model_config.h"
#include "core/divisors.h"
#include "loss/cross_entropy.h"
#include "store/adapted_source.h"
#include "store/agreement.h"
#include "store/model_source.h"

namespace moesaic {
namespace {

void warn_of(const Json& config, const std::string& path, const Log& log) {
  std::vector<arch::Problem> problems;
  arch::read_options(config, problems);
  for (const arch::Problem& problem : problems) {
    if (problem.warning) log.warn("{}: {}: {}", path, problem.key, problem.message);
  }
}

void describe(const RankContext& context, const arch::Options& arch, const ParameterSet& parameters,
              const std::string& path, const std::string& precision, MatmulKernel matmul) {
  const auto millions = static_cast<double>(parameters.global_count()) / 1e6;
  context.log.info("model     {}: {}, {:.2f} M parameters, {} layers", path, arch.model_type,
                   millions, arch.num_hidden_layers);
  context.log.info("layout    {} ranks, expert groups of {}", context.plan.world,
                   context.plan.expert);
  context.log.info("numbers   {}, products by {}", precision, name_of(matmul));
}

using Blocks = std::map<std::string, const GgufTensorType*>;

// "Q4_1 (210), Q8_0 (1)"
std::string types_in(const Blocks& blocks) {
  std::map<std::string, int> counts;
  for (const auto& [name, type] : blocks) ++counts[type->name];
  std::vector<std::string> texts;
  for (const auto& [type, count] : counts) texts.push_back(format("{} ({})", type, count));
  return texts.empty() ? std::string("none is quantised") : format("{}", join(texts, ", "));
}

// The weights that stay as the file has them. Collective.
Blocks kept_blocks(const RankContext& context, const ModelSource& source) {
  Blocks blocks;
  agreed(context.world, "model: weights", [&] {
    MOESAIC_CHECK(context.device.is_cpu(), ErrorKind::kUsage,
                  "--weights is file, which the CPU computes with alone; leave --device out");
    blocks = source.blocks();
  });
  context.log.info("weights   as in the file: {}", types_in(blocks));
  return blocks;
}

// Whether the products of one token need weights in another type than they are stored in. Those of
// few rows read bfloat16 under float32 as it is, and blocks under both; latent attention's absorbed
// ones do not.
bool each_token_converts(const ModelSource& source, const Precision& precision,
                         const Blocks& blocks) {
  const bool widens = precision.compute == at::kFloat && !source.arch().is_mla();
  const auto& dtypes = source.dtypes();
  return std::any_of(dtypes.begin(), dtypes.end(), [&](const auto& entry) {
    return !blocks.contains(entry.first) && entry.second != precision.compute &&
           !(widens && entry.second == at::kBFloat16);
  });
}

}  // namespace

arch::Options model_architecture(const Communicator& world, const std::string& path,
                                 const Log& log) {
  Json config;
  agreed(world, "model: config", [&] {
    if (!world.is_chief()) return;
    config = read_model_config(path);
    arch::require_options(config, path);
    warn_of(config, path, log);
  });
  const std::string text = world.broadcast(config.dump(), 0, "model: config");
  return arch::require_options(Json::parse(text), path);
}

Plan inference_plan(int ranks, int expert, std::int64_t num_experts) {
  if (num_experts == 0 && expert <= 1) return Plan::make(ranks, 1, 0);
  MOESAIC_CHECK(num_experts > 0, ErrorKind::kUsage,
                "--expert is {}, but the model has no experts; leave it out", expert);
  if (expert == 0) expert = static_cast<int>(std::gcd<std::int64_t>(ranks, num_experts));
  if (expert < 1 || ranks % expert != 0 || num_experts % expert != 0) {
    throw Error(ErrorKind::kUsage,
                format("--expert is {}, which does not divide {} ranks and {} experts", expert,
                       ranks, num_experts),
                format("sizes that fit: {}", join(common_divisors(ranks, num_experts), ", ")));
  }
  return Plan::make(ranks, expert, num_experts);
}

bool warn_beyond_positions(const Log& log, const arch::Options& arch, std::int64_t tokens,
                           const std::string& what) {
  if (tokens <= arch.max_position_embeddings) return false;
  log.warn("{} pass the {} positions of the model (max_position_embeddings)", what,
           arch.max_position_embeddings);
  return true;
}

InferenceModel::InferenceModel(const RankContext& context, const Options& options)
    : computation_{.precision = Precision::named(options.precision),
                   .matmul = chiefs_matmul(context.world, "auto"),
                   .world = context.world,
                   .weights = WeightCopies(/*keep=*/false)},
      meter_({.path = options.work_rows}) {
  const auto source =
      adapted(context, ModelSource::open(context, options.path, options.base), options.adapter);
  if (source->arch().reads_features()) {
    throw Error(ErrorKind::kUsage,
                format("{} classifies images (model_type {}): it has no tokens to score or write",
                       options.path, source->arch().model_type),
                "moesaic eval --task images --data IMAGES --labels LABELS says how well it does");
  }
  files_ = ModelFiles(context, *source);
  arch::Options arch = source->arch();
  MOESAIC_CHECK(!options.predict || arch.num_nextn_predict_layers > 0, ErrorKind::kUsage,
                "{} has no layers for multi-token prediction to draft tokens with", options.path);
  if (!options.predict) arch.num_nextn_predict_layers = 0;
  const Blocks blocks = options.file_weights ? kept_blocks(context, *source) : Blocks();
  if (options.many_passes)
    computation_.weights = WeightCopies(each_token_converts(*source, precision(), blocks));
  parameters_ = std::make_unique<ParameterSet>(arch::parameter_table(arch),
                                               ParameterSet::Options{.dtype = precision().master,
                                                                     .dtypes = source->dtypes(),
                                                                     .blocks = blocks,
                                                                     .initialise = false,
                                                                     .device = context.device,
                                                                     .rank = context.rank(),
                                                                     .plan = context.plan});
  model_ = std::make_unique<Transformer>(Transformer::Options{.arch = arch}, *parameters_, context);
  source->load(context, state_of(*parameters_), {.allow_nonfinite = options.allow_nonfinite});
  describe(context, arch, *parameters_, source->path(), options.precision, computation_.matmul);
}

at::Tensor InferenceModel::token_losses(const RankContext& context, const Batch& batch,
                                        std::span<KvCache* const> caches) {
  const at::NoGradGuard no_gradients;
  const Batch here = to_device(batch, context.device);
  ForwardContext forward = computation_.forward(here);
  forward.caches = caches;
  const ModelOutput output = model_->forward(forward);
  return moesaic::token_losses(forward, model_->head(), output.hidden_TD, here.targets_T).cpu();
}

at::Tensor InferenceModel::read_by(MatmulKernel kernel, const RankContext& context,
                                   const Batch& batch, std::span<KvCache* const> caches) {
  const at::NoGradGuard no_gradients;
  const Batch here = to_device(batch, context.device);
  ForwardContext forward = computation_.forward(here);
  forward.caches = caches;
  forward.matmul = kernel;
  return model_->forward(forward).hidden_TD;
}

at::Tensor InferenceModel::read(const RankContext& context, const Batch& batch,
                                std::span<KvCache* const> caches) {
  return read_by(computation_.matmul, context, batch, caches);
}

at::Tensor InferenceModel::read_single(const RankContext& context, const Batch& batch,
                                       std::span<KvCache* const> caches) {
  return read_by(MatmulKernel::kRows, context, batch, caches);
}

at::Tensor InferenceModel::predict(const RankContext& context, const Batch& batch,
                                   const at::Tensor& hidden_TD, std::span<KvCache* const> caches) {
  const at::NoGradGuard no_gradients;
  const Batch here = to_device(batch, context.device);
  ForwardContext forward = computation_.forward(here);
  forward.caches = caches;
  return model_->predict(forward, hidden_TD);
}

at::Tensor InferenceModel::logits(const at::Tensor& hidden_RD) {
  const at::NoGradGuard no_gradients;
  const Batch none = empty_batch();
  ForwardContext forward = computation_.forward(none);
  forward.matmul = MatmulKernel::kRows;
  return model_->head().forward(forward, hidden_RD.to(precision().master)).cpu();
}

KvCache InferenceModel::make_cache(std::int64_t tokens) const {
  return {arch().num_hidden_layers + arch().num_nextn_predict_layers, tokens};
}

}  // namespace moesaic
