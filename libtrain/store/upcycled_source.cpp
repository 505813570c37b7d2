#include "store/upcycled_source.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>

#include <cmath>
#include <span>

#include "core/random.h"

namespace moesaic {
namespace {

Json upcycled_config(const ModelSource& dense, const arch::UpcycleOptions& options) {
  return arch::to_config(arch::require_upcycled(dense.arch(), options));
}

// Standard normal numbers shaped like `values`, for element `index` of a stack of such.
at::Tensor normals_like(const at::Tensor& values, const RandomKey& key, std::int64_t index) {
  at::Tensor out = at::empty(values.sizes(), at::kFloat);
  key.normals(
      static_cast<std::uint64_t>(index * values.numel()), 1.0,
      std::span<float>(out.mutable_data_ptr<float>(), static_cast<std::size_t>(out.numel())));
  return out;
}

}  // namespace

UpcycledSource::UpcycledSource(std::unique_ptr<ModelSource> dense,
                               const arch::UpcycleOptions& options, std::uint64_t seed)
    : ModelSource(dense->path(), upcycled_config(*dense, options)),
      dense_(std::move(dense)),
      options_(options),
      seed_(seed) {
  for (const arch::ParameterInfo& info : arch::parameter_table(arch()))
    dtypes_.emplace(info.name, dense_->dtypes().at(origin_of(info.name).dense));
}

HubOrigin UpcycledSource::origin(const RankContext& context) const {
  HubOrigin origin = dense_->origin(context);
  origin.files.erase("config.json");  // of another architecture
  origin.dtypes = dtypes_;
  return origin;
}

// What is made of the dense weights is known to the recipe.
std::string UpcycledSource::digest_here(const std::function<void()>& alive) const {
  return dense_->digest_here(alive);
}

UpcycledSource::Origin UpcycledSource::origin_of(const std::string& parameter) const {
  const arch::NetworkNames& names = arch::network_names(arch());
  const std::string block = std::string(".") + names.block;
  const std::size_t found = parameter.find(block);
  if (found == std::string::npos) return {Part::kCopied, parameter};
  const std::string mlp = parameter.substr(0, found) + ".mlp.";
  const std::string rest = parameter.substr(found + block.size());
  const auto is = [&rest](const char* name) {
    return rest == std::string("experts.") + name + ".weight";
  };
  if (is(names.gate)) return {Part::kGate, mlp + "gate_proj.weight"};
  if (is(names.up)) return {Part::kUp, mlp + "up_proj.weight"};
  if (is(names.down)) return {Part::kDown, mlp + "down_proj.weight"};
  return {Part::kRouter, mlp + "gate_proj.weight"};
}

at::Tensor UpcycledSource::rows(const std::string& name, std::int64_t first,
                                std::int64_t count) const {
  const Origin origin = origin_of(parameter(name).name);
  if (origin.part == Part::kCopied) return dense_->rows(name, first, count);
  if (origin.part == Part::kRouter) return router(name, first, count);
  std::vector<std::int64_t> shape = parameter(name).shape;
  shape[0] = count;
  const at::Tensor dense = whole(origin.dense);
  const at::Tensor out = at::empty(shape, dense.scalar_type());
  for (std::int64_t i = 0; i < count; ++i)
    out[i].copy_(expert(name, origin.part, dense, first + i));
  return out;
}

at::Tensor UpcycledSource::whole(const std::string& name) const {
  const bool down = name.ends_with("down_proj.weight");
  return dense_->rows(name, 0, down ? arch().hidden_size : dense_->arch().intermediate_size);
}

// The pieces of one copy have the same row, so that they are chosen together (arXiv 2410.07524,
// section 4, virtual groups).
at::Tensor UpcycledSource::router(const std::string& name, std::int64_t first,
                                  std::int64_t count) const {
  const RandomKey key(seed_, RandomStream::kInit, 0, name);
  const std::int64_t width = arch().hidden_size;
  at::Tensor out = at::empty({count, width}, at::kFloat);
  for (std::int64_t i = 0; i < count; ++i) {
    const std::int64_t copy = (first + i) / options_.granularity;
    key.normals(static_cast<std::uint64_t>(copy * width), arch().initializer_range,
                std::span<float>(out.mutable_data_ptr<float>() + i * width,
                                 static_cast<std::size_t>(width)));
  }
  return out.to(dtypes_.at(name));
}

// A copy's pieces add up to the dense network, but each is given 1 / num_experts_per_tok of the
// weight, and num_experts_per_tok / granularity copies are chosen: each result is `granularity`
// times too small. Up and down projection share the factor; through the gate's silu none would go.
at::Tensor UpcycledSource::expert(const std::string& name, Part part, const at::Tensor& dense,
                                  std::int64_t index) const {
  const std::int64_t width = arch().moe_intermediate_size;
  const std::int64_t begin = index % options_.granularity * width;
  const bool down = part == Part::kDown;
  at::Tensor values = at::empty_like(dense.narrow(down ? 1 : 0, begin, width),
                                     at::TensorOptions(at::kFloat), at::MemoryFormat::Contiguous);
  values.copy_(dense.narrow(down ? 1 : 0, begin, width));
  if (options_.noise > 0 || options_.reinit > 0) disturb(name, index, down, values);
  if (part == Part::kGate || options_.granularity == 1) return values;
  return values.mul(std::sqrt(static_cast<double>(options_.granularity)));
}

void UpcycledSource::disturb(const std::string& name, std::int64_t index, bool by_column,
                             at::Tensor& values) const {
  const double deviation = values.std(/*unbiased=*/false).item<double>();
  if (options_.noise > 0) {
    const RandomKey key(seed_, RandomStream::kNoise, 0, name);
    values.add_(normals_like(values, key, index), options_.noise * deviation);
  }
  if (options_.reinit == 0) return;
  const RandomKey key(seed_, RandomStream::kInit, 0, name);
  const at::Tensor fresh = normals_like(values, key, index).mul(deviation);
  const std::int64_t units = arch().moe_intermediate_size;
  // The same units in all three projections of an expert.
  const std::string layer = name.substr(0, name.find(".experts."));
  const RandomKey choice(seed_, RandomStream::kShuffle, static_cast<std::uint64_t>(index), layer);
  for (std::int64_t unit = 0; unit < units; ++unit) {
    const auto rank =
        permuted(static_cast<std::uint64_t>(unit), static_cast<std::uint64_t>(units), choice);
    if (static_cast<double>(rank) >= options_.reinit * static_cast<double>(units)) continue;
    values.select(by_column ? 1 : 0, unit).copy_(fresh.select(by_column ? 1 : 0, unit));
  }
}

void UpcycledSource::fill(const RankContext& context, const StateDict& model) const {
  fill_by_reading(context, model, "the upcycled model",
                  "leave model.config out: it follows from the weights");
}

std::unique_ptr<ModelSource> upcycled(std::unique_ptr<ModelSource> source,
                                      const arch::UpcycleOptions& options, std::uint64_t seed) {
  if (options.num_experts == 0) return source;
  return std::make_unique<UpcycledSource>(std::move(source), options, seed);
}

}  // namespace moesaic
