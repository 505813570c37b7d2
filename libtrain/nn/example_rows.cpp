#include "nn/example_rows.h"

#include <ATen/ops/argsort.h>

#include <algorithm>

#include "core/error.h"

namespace moesaic {
namespace {

// The use with each of its tensors of rows as `change` makes it.
template <class Change>
ParameterUse with_rows(const ParameterUse& use, const Change& change) {
  ParameterUse changed = use;
  for (at::Tensor* rows : {&changed.input, &changed.output_gradient, &changed.example_R,
                           &changed.factor_R, &changed.weight_R}) {
    if (rows->defined()) *rows = change(*rows);
  }
  return changed;
}

std::vector<std::int64_t> examples_of(const at::Tensor& example_R) {
  const at::Tensor host = example_R.cpu().contiguous();
  const auto* examples = host.const_data_ptr<std::int64_t>();
  return {examples, examples + host.numel()};
}

std::vector<ExampleRows::Run> runs_of(const std::vector<std::int64_t>& examples) {
  std::vector<ExampleRows::Run> runs;
  for (std::int64_t row = 0; row < std::ssize(examples); ++row) {
    const std::int64_t example = examples[static_cast<std::size_t>(row)];
    if (runs.empty() || runs.back().example != example) runs.push_back({example, row, 0});
    ++runs.back().count;
  }
  return runs;
}

}  // namespace

ParameterUse rows_of(const ParameterUse& use, std::int64_t first, std::int64_t count) {
  return with_rows(use, [=](const at::Tensor& rows) { return rows.narrow(0, first, count); });
}

ParameterUse rows_of(const ParameterUse& use, const at::Tensor& row_S) {
  return with_rows(use, [&](const at::Tensor& rows) { return rows.index_select(0, row_S); });
}

ParameterUse copy_of(const ParameterUse& use) {
  ParameterUse copy = with_rows(use, [](const at::Tensor& rows) { return rows.clone(); });
  copy.passing = false;
  return copy;
}

ParameterUse use_of_group(const ParameterUse& use, std::int64_t group) {
  using Kind = ParameterUse::Kind;
  MOESAIC_ASSERT(use.kind == Kind::kGrouped || use.kind == Kind::kBias);
  const auto i = static_cast<std::size_t>(group);
  const std::vector<std::int64_t>& offsets = use.offsets.host();
  ParameterUse own = rows_of(use, offsets.at(i), offsets.at(i + 1) - offsets.at(i));
  if (own.kind == Kind::kGrouped) own.kind = Kind::kLinear;
  own.offsets = {};
  return own;
}

// What comes from a batch, or from several ranks in their order, is sorted already.
ExampleRows by_example(const ParameterUse& use) {
  std::vector<std::int64_t> examples = examples_of(use.example_R);
  if (std::is_sorted(examples.begin(), examples.end())) return {use, runs_of(examples)};
  const at::Tensor order = at::argsort(use.example_R, /*stable=*/true, 0, /*descending=*/false);
  std::sort(examples.begin(), examples.end());
  return {rows_of(use, order), runs_of(examples)};
}

}  // namespace moesaic
