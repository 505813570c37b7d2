#include "store/adapter.h"

#include <ATen/ops/matmul.h>

#include <utility>

#include "core/digest.h"
#include "core/error.h"
#include "core/format.h"

namespace moesaic {
namespace {

class AdapterInMemory : public AdapterRows {
 public:
  explicit AdapterInMemory(Adapter adapter) : adapter_(std::move(adapter)) {
    for (const auto& [name, pair] : adapter_.pairs)
      entries_[name] = {.is_pair = true, .dtype = pair.b.scalar_type(), .rows = pair.b.size(0)};
    for (const auto& [name, values] : adapter_.saved)
      entries_[name] = {.is_pair = false, .dtype = values.scalar_type(), .rows = values.size(0)};
  }

  AdapterPair pair(const std::string& weight, std::int64_t first,
                   std::int64_t count) const override {
    AdapterPair rows = adapter_.pairs.at(weight);
    if (rows.a.dim() == 3) rows.a = rows.a.narrow(0, first, count);
    rows.b = rows.b.narrow(0, first, count);
    if (rows.magnitude.defined()) rows.magnitude = rows.magnitude.narrow(0, first, count);
    return rows;
  }

  at::Tensor saved(const std::string& weight, std::int64_t first,
                   std::int64_t count) const override {
    return adapter_.saved.at(weight).narrow(0, first, count);
  }

  std::string digest() const override {
    Digest digest;
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

 private:
  Adapter adapter_;
};

}  // namespace

const AdapterRows::Entry* AdapterRows::find(const std::string& weight) const {
  const auto found = entries_.find(weight);
  return found == entries_.end() ? nullptr : &found->second;
}

Adapter AdapterRows::whole() const {
  Adapter adapter;
  for (const auto& [name, entry] : entries_) {
    MOESAIC_CHECK(
        !entry.has_base, ErrorKind::kRecipe,
        "the adapter of {} stands beside a weight that its run has changed (aggregator.lora "
        "stacking or residual), so it is none of the base model; export the model with "
        "the adapter merged into it",
        name);
    if (entry.is_pair)
      adapter.pairs.emplace(name, pair(name, 0, entry.rows));
    else
      adapter.saved.emplace(name, saved(name, 0, entry.rows));
  }
  return adapter;
}

std::unique_ptr<AdapterRows> in_memory(Adapter adapter) {
  return std::make_unique<AdapterInMemory>(std::move(adapter));
}

at::Tensor adapted_rows(const AdapterPair& pair, const at::Tensor& weight) {
  const at::Tensor b = pair.b.to(weight.scalar_type());
  const at::Tensor a = pair.a.to(weight.scalar_type());
  at::Tensor sum = weight.add(at::matmul(b, a), pair.scale);
  if (!pair.magnitude.defined()) return sum;
  at::Tensor length = sum.square().sum(-1).sqrt();
  length.masked_fill_(length.eq(0), 1);  // of a row of zeros, which stays one
  const at::Tensor wanted = pair.magnitude.to(weight.scalar_type());
  return sum.mul_(wanted.div(length).unsqueeze(-1));
}

}  // namespace moesaic
