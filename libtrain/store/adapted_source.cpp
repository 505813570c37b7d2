#include "store/adapted_source.h"

#include <ATen/ops/empty.h>

#include <algorithm>

#include "config/model_config.h"
#include "core/digest.h"
#include "core/path.h"
#include "store/adapter_checkpoint.h"
#include "store/agreement.h"
#include "store/manifest.h"
#include "store/peft_config.h"
#include "store/peft_reader.h"
#include "store/upcycled_source.h"

namespace moesaic {
namespace {

constexpr std::int64_t kPieceValues = 1 << 22;  // merged at a time: float64 takes 8 bytes each

// That of the checkpoint, where there is one, with the layers for multi-token prediction that the
// base has: training left them as they are.
Json merged_config(const std::optional<CheckpointInfo>& own, const ModelSource& base) {
  if (!own) return base.config();
  Json config = read_config_file(own->path + "/" + kConfigFile, ErrorKind::kCheckpoint);
  const std::int64_t layers = base.arch().num_nextn_predict_layers;
  if (layers > 0) config["num_nextn_predict_layers"] = layers;
  return config;
}

// Of a run, which must have been trained beside `source`, whose digest is `digest`.
std::unique_ptr<AdapterRows> adapter_for(const ModelSource& source, const std::string& digest,
                                         const CheckpointInfo& run, const std::string& named) {
  MOESAIC_CHECK(holds_adapter(run), ErrorKind::kCheckpoint,
                "{} is neither a PEFT folder nor a run with adapters", named);
  const AdapterBase base = AdapterBase::of(run);
  base.require(digest, source.path(), run.path,
               format("take the model that it was made for, which was at {}, in place of {}",
                      base.path, source.path()));
  return std::make_unique<AdapterCheckpoint>(run);
}

}  // namespace

AdaptedSource::AdaptedSource(std::unique_ptr<ModelSource> base,
                             std::unique_ptr<AdapterRows> adapter,
                             std::optional<CheckpointInfo> own)
    : ModelSource(own ? own->path : base->path(), merged_config(own, *base)),
      base_(std::move(base)),
      adapter_(std::move(adapter)),
      own_(std::move(own)) {
  dtypes_ = base_->dtypes();
  for (const auto& [name, entry] : adapter_->entries()) {
    at::ScalarType& dtype = dtypes_.at(parameter(name).name);
    dtype = entry.is_pair ? c10::promoteTypes(dtype, entry.dtype) : entry.dtype;
  }
}

std::unique_ptr<AdaptedSource> AdaptedSource::open(const RankContext& context,
                                                   const CheckpointInfo& info,
                                                   const std::optional<std::string>& base) {
  AdapterBase said;
  std::unique_ptr<AdapterCheckpoint> adapter;
  std::string path;
  agreed(context.world, "adapter: open", [&] {
    said = AdapterBase::of(info);
    adapter = std::make_unique<AdapterCheckpoint>(info);
    path = base.value_or(said.path);
    if (context.is_chief() && !path_exists(path, ErrorKind::kData)) {
      throw Error(ErrorKind::kData, format("the base of {} is not at {}", info.path, path),
                  "say with --base where it is now");
    }
  });
  auto weights = upcycled(ModelSource::open(context, path), adapter->upcycle(), adapter->seed());
  const std::string digest = weights->digest(context);
  std::unique_ptr<AdaptedSource> source;
  agreed(context.world, "adapter: base", [&] {
    said.require(digest, path, info.path);
    source = std::make_unique<AdaptedSource>(std::move(weights), std::move(adapter), info);
  });
  return source;
}

Json AdaptedSource::tokenizer() const {
  return own_ ? own_->manifest.value("tokenizer", Json(nullptr)) : base_->tokenizer();
}

HubOrigin AdaptedSource::origin(const RankContext& context) const {
  HubOrigin origin = base_->origin(context);
  if (!own_) return origin;
  const HubOrigin own = CheckpointStore::origin(context, *own_);
  if (!own.files.empty()) origin.files = own.files;
  return origin;
}

std::string AdaptedSource::digest_here(const std::function<void()>& alive) const {
  if (adapter_->names_base()) return adapter_->digest();
  return Digest().update(base_->digest_here(alive)).update(adapter_->digest()).hex();
}

void AdaptedSource::read(const std::string& name, std::int64_t first,
                         const at::Tensor& into) const {
  const AdapterRows::Entry* entry = adapter_->find(name);
  if (entry == nullptr) return base_->read(name, first, into);
  const arch::ParameterInfo& info = parameter(name);
  const std::int64_t step = std::max<std::int64_t>(1, kPieceValues * info.shape[0] / info.numel());
  for (std::int64_t row = 0; row < into.size(0); row += step) {
    const std::int64_t count = std::min(step, into.size(0) - row);
    at::Tensor piece = into.narrow(0, row, count);
    if (entry->is_pair) {
      const at::Tensor weight = entry->has_base ? adapter_->saved(name, first + row, count)
                                                : base_->rows(name, first + row, count);
      piece.copy_(adapted_rows(adapter_->pair(name, first + row, count), weight.to(at::kDouble)));
    } else {
      piece.copy_(adapter_->saved(name, first + row, count));
    }
  }
}

at::Tensor AdaptedSource::rows(const std::string& name, std::int64_t first,
                               std::int64_t count) const {
  if (adapter_->find(name) == nullptr) return base_->rows(name, first, count);
  std::vector<std::int64_t> shape = parameter(name).shape;
  shape[0] = count;
  const at::Tensor values = at::empty(shape, at::kDouble);
  read(name, first, values);
  return values;
}

void AdaptedSource::fill(const RankContext& context, const StateDict& model) const {
  fill_by_reading(context, model, "the adapted model", "use the architecture of the base model");
}

std::unique_ptr<ModelSource> adapted(const RankContext& context,
                                     std::unique_ptr<ModelSource> source,
                                     const std::string& adapter) {
  if (adapter.empty()) return source;
  const std::string kind = context.is_chief() && is_peft_folder(adapter) ? "PEFT" : "run";
  std::optional<CheckpointInfo> run;
  if (context.world.broadcast(kind, 0, "adapter: kind") == "run")
    run = CheckpointStore::open(context, adapter);
  const std::string digest = run ? source->digest(context) : "";
  std::unique_ptr<ModelSource> merged;
  agreed(context.world, "adapter: read", [&] {
    std::unique_ptr<AdapterRows> read;
    if (run)
      read = adapter_for(*source, digest, *run, adapter);
    else
      read = in_memory(read_peft_folder(adapter, source->arch()));
    merged = std::make_unique<AdaptedSource>(std::move(source), std::move(read));
  });
  return merged;
}

}  // namespace moesaic
