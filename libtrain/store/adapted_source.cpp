#include "store/adapted_source.h"

#include <ATen/ops/empty.h>

#include <algorithm>

#include "core/digest.h"
#include "store/adapter_run_source.h"
#include "store/agreement.h"
#include "store/peft_config.h"
#include "store/peft_reader.h"

namespace moesaic {
namespace {

constexpr std::int64_t kPieceValues = 1 << 22;  // merged at a time: float64 takes 8 bytes each

}  // namespace

AdaptedSource::AdaptedSource(std::unique_ptr<ModelSource> base, Adapter adapter)
    : ModelSource(base->path(), base->config()),
      base_(std::move(base)),
      adapter_(std::move(adapter)) {
  dtypes_ = base_->dtypes();
  for (const auto& [name, pair] : adapter_.pairs)
    dtypes_.at(name) = c10::promoteTypes(dtypes_.at(name), pair.b.scalar_type());
  for (const auto& [name, values] : adapter_.saved) dtypes_.at(name) = values.scalar_type();
}

std::string AdaptedSource::digest_here(const std::function<void()>& alive) const {
  Digest digest;
  digest.update(base_->digest_here(alive));
  const auto add = [&digest](const std::string& name, const at::Tensor& values) {
    const at::Tensor whole = values.contiguous();
    digest.update(name).update(whole.const_data_ptr(), whole.nbytes());
  };
  for (const auto& [name, pair] : adapter_.pairs) {
    add(format("{} {}", name, pair.scale), pair.a);
    add("B", pair.b);
    if (pair.magnitude.defined()) add("magnitude", pair.magnitude);
  }
  for (const auto& [name, values] : adapter_.saved) add(name, values);
  return digest.hex();
}

void AdaptedSource::read(const std::string& name, std::int64_t first,
                         const at::Tensor& into) const {
  const auto saved = adapter_.saved.find(name);
  if (saved != adapter_.saved.end()) {
    into.copy_(saved->second.narrow(0, first, into.size(0)));
    return;
  }
  const auto pair = adapter_.pairs.find(name);
  if (pair == adapter_.pairs.end()) return base_->read(name, first, into);
  const arch::ParameterInfo& info = parameter(name);
  const std::int64_t step = std::max<std::int64_t>(1, kPieceValues * info.shape[0] / info.numel());
  for (std::int64_t row = 0; row < into.size(0); row += step) {
    const std::int64_t count = std::min(step, into.size(0) - row);
    const at::Tensor weight = base_->rows(name, first + row, count).to(at::kDouble);
    into.narrow(0, row, count).copy_(adapted_rows(pair->second, weight, first + row));
  }
}

at::Tensor AdaptedSource::rows(const std::string& name, std::int64_t first,
                               std::int64_t count) const {
  if (!adapter_.pairs.contains(name) && !adapter_.saved.contains(name))
    return base_->rows(name, first, count);
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
  Adapter read;
  agreed(context.world, "adapter: read", [&] {
    MOESAIC_CHECK(!run || AdapterRunSource::is_adapted(*run), ErrorKind::kCheckpoint,
                  "{} is neither a PEFT folder nor a run with adapters", adapter);
    if (run) AdapterBase::of(*run).require(digest, source->path(), run->path);
    read = run ? adapter_of_run(*run) : read_peft_folder(adapter, source->arch());
  });
  return std::make_unique<AdaptedSource>(std::move(source), std::move(read));
}

}  // namespace moesaic
