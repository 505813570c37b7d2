#include "privacy/unit_norms.h"

#include <ATen/ops/_unique.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/linalg_vector_norm.h>
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

constexpr std::int64_t kPanel = 64;  // columns of a Gram matrix that are made at a time

// Gram matrices are symmetric: of a panel of columns only what stands from the diagonal on is made.
bool gram_is_cheaper(std::int64_t rows, std::int64_t n, std::int64_t k) {
  return (rows + std::min(rows, kPanel)) * (n + k) <= 2 * n * k;
}

// sum_tu (x_t . x_u) (g_t . g_u)
double sum_of_grams(const at::Tensor& g_TN, const at::Tensor& x_TK, MatmulKernel kernel) {
  const std::int64_t rows = x_TK.size(0);
  double sum = 0;
  for (std::int64_t begin = 0; begin < rows; begin += kPanel) {
    const std::int64_t columns = std::min(kPanel, rows - begin);
    const auto gram = [&](const at::Tensor& of) {
      return product(of.narrow(0, begin, rows - begin), of.narrow(0, begin, columns), kernel);
    };
    const at::Tensor panel = gram(x_TK).mul_(gram(g_TN));
    sum += 2 * panel.sum(at::kDouble).item<double>() -
           panel.narrow(0, 0, columns).sum(at::kDouble).item<double>();
  }
  return std::max(sum, 0.0);  // it is one but for rounding
}

// Of g^T x, by whichever way takes fewer products.
double squared_norm_of_product(const at::Tensor& g_TN, const at::Tensor& x_TK,
                               MatmulKernel kernel) {
  if (gram_is_cheaper(x_TK.size(0), g_TN.size(1), x_TK.size(1)))
    return sum_of_grams(g_TN, x_TK, kernel);
  const at::Tensor gradient_NK = at::zeros({g_TN.size(1), x_TK.size(1)}, g_TN.options());
  add_product_of_rows(g_TN, x_TK, kernel, gradient_NK);
  return squared_norm(gradient_NK);
}

// Rows of the same token add up.
double squared_norm_of_embedding(const at::Tensor& g_TD, const at::Tensor& ids_T) {
  const auto [ids_U, slot_T] = at::_unique(ids_T, /*sorted=*/true, /*return_inverse=*/true);
  const at::Tensor sum_UD = at::zeros({ids_U.size(0), g_TD.size(1)}, g_TD.options());
  return squared_norm(sum_UD.index_add(0, slot_T, g_TD));
}

// The gradients of a tied weight, dl^T x of the head and rows of g at the ids of the embedding, are
// one: twice what they have in common, sum_ts dl_t,id(s) (x_t . g_s).
double cross_term(const ParameterUse& head, const ParameterUse& embedding, at::ScalarType dtype,
                  MatmulKernel kernel) {
  const at::Tensor dot_TS =
      product(head.input.to(dtype), embedding.output_gradient.to(dtype), kernel);
  const at::Tensor dl_TS = head.output_gradient.to(dtype).index_select(1, embedding.input);
  return 2 * dot_TS.mul_(dl_TS).sum(at::kDouble).item<double>();
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
      return squared_norm_of_product(g_TN, rows.input.to(dtype), kernel);
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
  for (const auto& [example, own] : by_unit) add_example(example, own);
}

void UnitNorms::add_example(std::int64_t example, const std::vector<ParameterUse>& own) const {
  double& square = squares.at(static_cast<std::size_t>(example));
  const auto of_kind = [&](Kind kind) {
    return std::find_if(own.begin(), own.end(), [&](const auto& use) { return use.kind == kind; });
  };
  const auto head = of_kind(Kind::kLinear), embedding = of_kind(Kind::kEmbedding);
  if (own.size() == 1) {
    square += of_rows(own[0]);
  } else if (own.size() == 2 && head != own.end() && embedding != own.end()) {
    square += std::max(0.0, of_rows(*head) + of_rows(*embedding) +
                                cross_term(*head, *embedding, gradient.scalar_type(), kernel));
  } else {
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
    keep(own);
  }
}

// As rows while these take less memory than the gradient.
void UnitNormStream::keep(const ParameterUse& rows) {
  std::int64_t values = rows.numel();
  for (const ParameterUse& use : kept_) values += use.numel();
  const bool small = values <= to_.gradient.numel();
  kept_.push_back(small ? copy_of(rows) : rows);
  if (!small) add_up();
}

void UnitNormStream::add_up() {
  for (const ParameterUse& use : kept_) add_gradient(use, to_.gradient, to_.kernel);
  kept_.clear();
  added_up_ = true;
}

void UnitNormStream::finish() {
  complete();
  for (const auto& [example, own] : whole_) to_.add_example(example, own);
  whole_.clear();
}

void UnitNormStream::complete() {
  if (current_ < 0) return;
  if (const auto node = whole_.extract(current_)) {
    for (const ParameterUse& use : node.mapped()) kept_.push_back(use);
  }
  if (added_up_) {
    add_up();
    to_.take_gradient(current_);
  } else {
    to_.add_example(current_, joined_by_kind(kept_));
  }
  kept_.clear();
  added_up_ = false;
}

}  // namespace moesaic
