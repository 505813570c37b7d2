#include "privacy/unit_norms.h"

#include <ATen/ops/_unique.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/sum.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "core/error.h"

namespace moesaic {
namespace {

using Kind = ParameterUse::Kind;
using RowsOfUnits = std::map<std::int64_t, std::vector<ParameterUse>>;

double squared_norm(const at::Tensor& x) {
  const auto norm = at::linalg_vector_norm(x, 2, std::nullopt, false, at::kDouble).item<double>();
  return norm * norm;
}

// Of g^T x, by whichever way takes fewer products.
double squared_norm_of_product(const at::Tensor& g_TN, const at::Tensor& x_TK) {
  const std::int64_t rows = x_TK.size(0), n = g_TN.size(1), k = x_TK.size(1);
  if (rows * (n + k) > n * k) return squared_norm(at::matmul(g_TN.t(), x_TK));
  const at::Tensor gram_TT = at::matmul(x_TK, x_TK.t());
  const double sum = gram_TT.mul_(at::matmul(g_TN, g_TN.t())).sum(at::kDouble).item<double>();
  return std::max(sum, 0.0);  // it is one but for rounding
}

// Rows of the same token add up.
double squared_norm_of_embedding(const at::Tensor& g_TD, const at::Tensor& ids_T) {
  const auto [ids_U, slot_T] = at::_unique(ids_T, /*sorted=*/true, /*return_inverse=*/true);
  const at::Tensor sum_UD = at::zeros({ids_U.size(0), g_TD.size(1)}, g_TD.options());
  return squared_norm(sum_UD.index_add(0, slot_T, g_TD));
}

at::Tensor joined_rows(const at::Tensor& a, const at::Tensor& b) {
  return a.defined() ? at::cat({a, b}) : a;
}

// One use of each kind: the rows of all of that kind.
std::vector<ParameterUse> joined_by_kind(const std::vector<ParameterUse>& uses) {
  std::vector<ParameterUse> joined;
  for (const ParameterUse& use : uses) {
    const auto same = std::find_if(joined.begin(), joined.end(),
                                   [&](const ParameterUse& j) { return j.kind == use.kind; });
    if (same == joined.end()) {
      joined.push_back(use);
      continue;
    }
    same->input = joined_rows(same->input, use.input);
    same->output_gradient = joined_rows(same->output_gradient, use.output_gradient);
    same->example_R = joined_rows(same->example_R, use.example_R);
    same->factor_R = joined_rows(same->factor_R, use.factor_R);
  }
  return joined;
}

void add_runs_of(const ExampleRows& rows, RowsOfUnits& uses) {
  for (const ExampleRows::Run& run : rows.runs)
    uses[run.example].push_back(rows_of(rows.use, run.first, run.count));
}

}  // namespace

void UnitNorms::take_gradient(std::int64_t example) const {
  squares.at(static_cast<std::size_t>(example)) += squared_norm(gradient);
  at::Tensor(gradient).zero_();
}

double UnitNorms::of_rows(const ParameterUse& rows) const {
  const at::ScalarType dtype = gradient.scalar_type();
  const at::Tensor g_TN = rows.output_gradient.to(dtype);
  switch (rows.kind) {
    case Kind::kLinear:
      return squared_norm_of_product(g_TN, rows.input.to(dtype));
    case Kind::kEmbedding:
      return squared_norm_of_embedding(g_TN, rows.input);
    case Kind::kScale:
      return squared_norm(at::sum(rows.input.mul(rows.factor_R.unsqueeze(1)).mul_(g_TN),
                                  at::IntArrayRef{0}, false, at::kDouble));
    case Kind::kBias:
      return squared_norm(at::sum(g_TN, at::IntArrayRef{0}, false, at::kDouble));
    case Kind::kGrouped:
      break;
  }
  throw Error(ErrorKind::kInternal, "rows of groups have no norm of one weight");
}

void UnitNorms::add(const std::vector<ParameterUse>& uses) const {
  const std::vector<ParameterUse> joined = joined_by_kind(uses);
  RowsOfUnits by_unit;
  for (const ParameterUse& use : joined) add_runs_of(by_example(use), by_unit);
  for (const auto& [example, own] : by_unit) {
    if (own.size() == 1) {
      squares.at(static_cast<std::size_t>(example)) += of_rows(own[0]);
      continue;
    }
    for (const ParameterUse& use : own) add_gradient(use, gradient, kernel);
    take_gradient(example);
  }
}

UnitNormStream::UnitNormStream(UnitNorms to, const std::vector<ParameterUse>& whole)
    : to_(std::move(to)) {
  for (const ParameterUse& use : joined_by_kind(whole)) add_runs_of(by_example(use), whole_);
}

// The first example may go on from the piece before, the last one in the next.
bool UnitNormStream::is_whole(const ExampleRows& rows, std::size_t run) const {
  const std::int64_t example = rows.runs[run].example;
  return run + 1 < rows.runs.size() && example != current_ && !whole_.contains(example);
}

void UnitNormStream::add(const ParameterUse& piece) {
  const ExampleRows rows = by_example(piece);
  for (std::size_t i = 0; i < rows.runs.size(); ++i) {
    const ExampleRows::Run& run = rows.runs[i];
    const ParameterUse own = rows_of(rows.use, run.first, run.count);
    if (is_whole(rows, i)) {
      to_.squares.at(static_cast<std::size_t>(run.example)) += to_.of_rows(own);
      continue;
    }
    if (run.example != current_) {
      complete();
      MOESAIC_ASSERT(run.example > current_);
      current_ = run.example;
    }
    add_gradient(own, to_.gradient, to_.kernel);
  }
}

void UnitNormStream::finish() {
  complete();
  for (const auto& [example, uses] : whole_) {
    for (const ParameterUse& use : uses) add_gradient(use, to_.gradient, to_.kernel);
    to_.take_gradient(example);
  }
  whole_.clear();
}

void UnitNormStream::complete() {
  if (current_ < 0) return;
  if (const auto node = whole_.extract(current_)) {
    for (const ParameterUse& use : node.mapped()) add_gradient(use, to_.gradient, to_.kernel);
  }
  to_.take_gradient(current_);
}

}  // namespace moesaic
