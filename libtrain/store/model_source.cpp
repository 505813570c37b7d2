#include "store/model_source.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>

#include <algorithm>
#include <set>

#include "store/adapted_source.h"
#include "store/adapter_checkpoint.h"
#include "store/agreement.h"
#include "store/checkpoint_source.h"
#include "store/differences.h"
#include "store/finite.h"
#include "store/gguf_source.h"
#include "store/hub_source.h"

namespace moesaic {

ModelSource::ModelSource(std::string path, Json config)
    : path_(std::move(path)),
      config_(std::move(config)),
      arch_(arch::require_options(config_, path_ + "/config.json")) {
  for (arch::ParameterInfo& info : arch::parameter_table(arch_)) table_.emplace(info.name, info);
}

const arch::ParameterInfo& ModelSource::parameter(const std::string& name) const {
  const auto found = table_.find(name);
  MOESAIC_CHECK(found != table_.end(), ErrorKind::kCheckpoint, "{} has no parameter {}", path_,
                name);
  return found->second;
}

void ModelSource::require_fit(const StateDict& model, const std::string& store,
                              const std::string& hint) const {
  Differences differences(store);
  std::set<std::string> used;
  for (const StateEntry& entry : model) {
    const auto found = table_.find(entry.name);
    if (found == table_.end()) {
      differences.missing(entry.name);
      continue;
    }
    used.insert(entry.name);
    if (found->second.shape == entry.global_shape) continue;
    differences.differs(format("{} has shape [{}] (here [{}])", entry.name,
                               join(found->second.shape, ", "), join(entry.global_shape, ", ")));
  }
  for (const auto& [name, info] : table_) {
    // A model may do without the layers for multi-token prediction.
    if (!used.contains(name) && !arch::is_prediction_parameter(arch_, name))
      differences.unexpected(name);
  }
  differences.require_none(format("{} does not fit this model", path_), hint);
}

at::Tensor ModelSource::rows(const std::string& name, std::int64_t first,
                             std::int64_t count) const {
  std::vector<std::int64_t> shape = parameter(name).shape;
  shape[0] = count;
  const at::Tensor values = at::empty(shape, dtypes_.at(name));
  read(name, first, values);
  return values;
}

void ModelSource::fill_by_reading(const RankContext& context, const StateDict& model,
                                  const std::string& store, const std::string& hint) const {
  agreed(context.world, "model: fit", [&] { require_fit(model, store, hint); });
  agreed(context.world, "model: load", [&] {
    for (const StateEntry& entry : model)
      if (!entry.quantised.defined()) read(entry.name, entry.offset, entry.tensor);
  });
}

std::map<std::string, const GgufTensorType*> ModelSource::blocks() const {
  throw Error(
      ErrorKind::kUsage,
      format("--weights is file, but {} is no GGUF file (or has an adapter merged into it)", path_),
      "leave --weights out: weights in bfloat16 are read as they are in any case");
}

void ModelSource::read_blocks(const std::string& name, std::int64_t, const at::Tensor&) const {
  throw Error(ErrorKind::kInternal, format("{} is not in blocks", name));
}

void ModelSource::fill_blocks(const StateEntry& entry, const LoadOptions& options) const {
  constexpr std::int64_t kCheckedValues = 2 << 20;  // at a time
  const QuantisedWeight& weight = entry.quantised;
  const bool expert = entry.scope == Scope::kExpert;
  const std::int64_t step = std::max<std::int64_t>(1, kCheckedValues / weight.columns());
  for (std::int64_t i = 0; i < weight.matrices(); ++i) {
    const at::Tensor rows_NB = weight.rows_in_blocks(i);
    read_blocks(entry.name, entry.offset + i, expert ? rows_NB.unsqueeze(0) : rows_NB);
    for (std::int64_t row = 0; row < weight.rows() && !options.allow_nonfinite; row += step) {
      const std::int64_t count = std::min(step, weight.rows() - row);
      const at::Tensor rows = weight.numbers(rows_NB.narrow(0, row, count), at::kFloat);
      require_finite(entry.name, entry.scope, expert ? entry.offset + i : row,
                     expert ? rows.unsqueeze(0) : rows, path_);
    }
  }
}

void ModelSource::fill_quantised(const StateEntry& entry) const {
  QuantisedWeight weight = entry.quantised;  // which shares its parts
  weight.fill([&](std::int64_t i, const at::Tensor& values_NK) {
    const bool expert = entry.scope == Scope::kExpert;
    const at::Tensor rows = expert ? values_NK.unsqueeze(0) : values_NK;
    read(entry.name, entry.offset + i, rows);
    require_finite(entry.name, entry.scope, entry.offset + i, rows, path_);
  });
}

std::string ModelSource::digest(const RankContext& context) const {
  std::string digest;
  agreed(context.world, "model: digest", [&] {
    if (context.is_chief()) digest = digest_here([&] { context.world.progress(); });
  });
  return context.world.broadcast(digest, 0, "model: digest");
}

std::unique_ptr<ModelSource> ModelSource::open(const RankContext& context, const std::string& path,
                                               const std::optional<std::string>& base) {
  std::string kind;
  agreed(context.world, "model: locate", [&] {
    if (context.is_chief()) kind = is_gguf(path) ? "gguf" : HubFolder::is_at(path) ? "hub" : "own";
  });
  kind = context.world.broadcast(kind, 0, "model: locate");
  std::optional<CheckpointInfo> own;
  if (kind == "own") own = CheckpointStore::open(context, path);
  if (own && holds_adapter(*own)) return AdaptedSource::open(context, *own, base);
  MOESAIC_CHECK(!base, ErrorKind::kUsage, "--base is given, but {} holds no adapter of a base",
                path);
  if (own) return CheckpointSource::open(context, *own);
  if (kind == "gguf") return GgufSource::open(context, path);
  return HubSource::open(context, path);
}

void ModelSource::load(const RankContext& context, const StateDict& model,
                       const LoadOptions& options) const {
  const at::NoGradGuard no_grad;
  fill(context, model);
  agreed(context.world, "model: numbers", [&] {
    for (const StateEntry& entry : model) {
      if (entry.quantised.blocks() != nullptr)
        fill_blocks(entry, options);
      else if (entry.quantised.defined())
        fill_quantised(entry);
      else if (!options.allow_nonfinite)
        require_finite(entry.name, entry.scope, entry.offset, entry.tensor, path_);
    }
  });
}

}  // namespace moesaic
