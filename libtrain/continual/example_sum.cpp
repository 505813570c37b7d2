#include "continual/example_sum.h"

#include <ATen/ops/tensor.h>

#include <utility>

#include "core/error.h"
#include "nn/example_rows.h"

namespace moesaic {
namespace {

using UsesOfExamples = std::map<std::int64_t, std::vector<ParameterUse>>;

void add_runs(const ExampleRows& rows, UsesOfExamples& uses) {
  for (const ExampleRows::Run& run : rows.runs)
    uses[run.example].push_back(rows_of(rows.use, run.first, run.count));
}

// Of the rows' factors: the gradient of such a use is the sum of the rows' own magnitudes.
ParameterUse magnitudes(const ParameterUse& use, Magnitude magnitude) {
  const auto of = [magnitude](const at::Tensor& x) {
    return magnitude == Magnitude::kSquare ? x.square() : x.abs();
  };
  ParameterUse out = use;
  out.output_gradient = of(use.output_gradient);
  if (use.kind != ParameterUse::Kind::kEmbedding && use.input.defined()) out.input = of(use.input);
  if (use.factor_R.defined()) out.factor_R = of(use.factor_R);
  if (use.weight_R.defined()) out.weight_R = of(use.weight_R);
  return out;
}

// Takes out of `rows` the examples that have one row there and, as `is_whole` says, no others.
template <class IsWhole>
void add_single_rows(const ExampleSum& to, ExampleRows& rows, const IsWhole& is_whole) {
  std::vector<std::int64_t> single;
  std::vector<ExampleRows::Run> others;
  for (const ExampleRows::Run& run : rows.runs) {
    if (run.count == 1 && is_whole(run))
      single.push_back(run.first);
    else
      others.push_back(run);
  }
  if (single.empty()) return;
  const at::Tensor row_S = at::tensor(single, at::kLong).to(rows.use.output_gradient.device());
  add_gradient(magnitudes(rows_of(rows.use, row_S), to.magnitude), to.sum, to.kernel);
  rows.runs = std::move(others);
}

}  // namespace

void ExampleSum::take_gradient() const {
  at::Tensor total = sum, own = gradient;
  if (magnitude == Magnitude::kSquare)
    total.addcmul_(own, own);
  else
    total.add_(own.abs());
  own.zero_();
}

std::int64_t ExampleSum::add(const std::vector<ParameterUse>& uses) const {
  UsesOfExamples by_id;
  std::int64_t alone = 0;
  for (const ParameterUse& use : uses) {
    ExampleRows rows = by_example(use);
    const std::int64_t before = std::ssize(rows.runs);
    if (uses.size() == 1) add_single_rows(*this, rows, [](const auto&) { return true; });
    alone += before - std::ssize(rows.runs);
    add_runs(rows, by_id);
  }
  for (const auto& [example, own] : by_id) {
    for (const ParameterUse& use : own) add_gradient(use, gradient, kernel);
    take_gradient();
  }
  return alone + std::ssize(by_id);
}

ExampleStream::ExampleStream(ExampleSum to, const std::vector<ParameterUse>& whole)
    : to_(std::move(to)) {
  for (const ParameterUse& use : whole) add_runs(by_example(use), whole_);
}

// The last example may go on in the next piece.
void ExampleStream::add(const ParameterUse& piece) {
  ExampleRows rows = by_example(piece);
  if (rows.runs.empty()) return;
  const std::int64_t last = rows.runs.back().example;
  if (whole_.empty()) {
    add_single_rows(to_, rows, [this, last](const ExampleRows::Run& run) {
      return run.example != current_ && run.example != last;
    });
  }
  for (const ExampleRows::Run& run : rows.runs) {
    if (run.example != current_) {
      complete();
      MOESAIC_ASSERT(run.example > current_);
      current_ = run.example;
    }
    add_gradient(rows_of(rows.use, run.first, run.count), to_.gradient, to_.kernel);
  }
}

bool ExampleStream::finish() {
  const bool any = current_ >= 0;
  complete();
  current_ = -1;
  for (const auto& [example, uses] : whole_) {
    for (const ParameterUse& use : uses) add_gradient(use, to_.gradient, to_.kernel);
    to_.take_gradient();
  }
  whole_.clear();
  return any;
}

void ExampleStream::complete() {
  if (current_ < 0) return;
  if (const auto node = whole_.extract(current_)) {
    for (const ParameterUse& use : node.mapped()) add_gradient(use, to_.gradient, to_.kernel);
  }
  to_.take_gradient();
}

}  // namespace moesaic
