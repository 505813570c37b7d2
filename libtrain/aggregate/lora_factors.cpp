#include "aggregate/lora_factors.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"

namespace moesaic::aggregate {
namespace {

void require_fitting(std::span<const LoraFactors> silos, std::span<const double> weights) {
  MOESAIC_CHECK(!silos.empty() && silos.size() == weights.size(), ErrorKind::kData,
                "adapters of {} silos and {} weights", silos.size(), weights.size());
  for (const LoraFactors& silo : silos) {
    MOESAIC_CHECK(silo.b.columns == silo.a.rows && silo.b.rows == silos[0].b.rows &&
                      silo.a.columns == silos[0].a.columns,
                  ErrorKind::kData, "adapters of {} x {} times {} x {} and {} x {} times {} x {}",
                  silo.b.rows, silo.b.columns, silo.a.rows, silo.a.columns, silos[0].b.rows,
                  silos[0].b.columns, silos[0].a.rows, silos[0].a.columns);
  }
}

void add_scaled_matrix(const Matrix& from, double factor, Matrix& to) {
  for (std::size_t i = 0; i < to.values.size(); ++i) to.values[i] += factor * from.values[i];
}

// [B_1 | -B] [A_1; A]: what the mean of the products has and the product of the means has not.
LoraFactors without(const LoraFactors& mean, const LoraFactors& taken) {
  const std::vector<LoraFactors> both = {mean, taken};
  const std::vector<double> signs = {1.0, -1.0};
  return stacked(both, signs);
}

}  // namespace

LoraFactors stacked(std::span<const LoraFactors> silos, std::span<const double> weights) {
  require_fitting(silos, weights);
  std::size_t rank = 0;
  for (const LoraFactors& silo : silos) rank += silo.a.rows;
  LoraFactors all{Matrix(silos[0].b.rows, rank), Matrix(rank, silos[0].a.columns)};
  std::size_t first = 0;
  for (std::size_t k = 0; k < silos.size(); first += silos[k].a.rows, ++k) {
    for (std::size_t row = 0; row < all.b.rows; ++row)
      for (std::size_t j = 0; j < silos[k].b.columns; ++j)
        all.b.at(row, first + j) = weights[k] * silos[k].b.at(row, j);
    std::copy(silos[k].a.values.begin(), silos[k].a.values.end(),
              all.a.values.begin() + static_cast<std::ptrdiff_t>(first * all.a.columns));
  }
  return all;
}

LoraFactors averaged(std::span<const LoraFactors> silos, std::span<const double> weights,
                     bool frozen_a) {
  require_fitting(silos, weights);
  LoraFactors mean{Matrix(silos[0].b.rows, silos[0].b.columns),
                   Matrix(silos[0].a.rows, silos[0].a.columns)};
  for (std::size_t k = 0; k < silos.size(); ++k) {
    MOESAIC_CHECK(silos[k].a.rows == mean.a.rows, ErrorKind::kData,
                  "adapters of rank {} and {}: only stacking and svd take different ones",
                  mean.a.rows, silos[k].a.rows);
    MOESAIC_CHECK(!frozen_a || silos[k].a.values == silos[0].a.values, ErrorKind::kData,
                  "frozen_a needs the same A in all silos, and that of silo {} differs", k);
    add_scaled_matrix(silos[k].b, weights[k], mean.b);
    add_scaled_matrix(silos[k].a, weights[k], mean.a);
  }
  if (frozen_a) mean.a = silos[0].a;
  return mean;
}

LoraFactors best_of_rank(const LoraFactors& stacked_factors, std::size_t rank) {
  const Orthogonal left = orthogonal(stacked_factors.b);
  const Orthogonal right = orthogonal(transposed(stacked_factors.a));
  const SingularValues core = singular_values(product(left.r, transposed(right.r)));
  LoraFactors best{Matrix(stacked_factors.b.rows, rank), Matrix(rank, stacked_factors.a.columns)};
  const Matrix u = product(left.q, core.u), v = product(right.q, core.v);
  for (std::size_t k = 0; k < std::min(rank, core.s.size()); ++k) {
    const double root = std::sqrt(core.s[k]);
    for (std::size_t row = 0; row < u.rows; ++row) best.b.at(row, k) = u.at(row, k) * root;
    for (std::size_t row = 0; row < v.rows; ++row) best.a.at(k, row) = v.at(row, k) * root;
  }
  return best;
}

void add_product(const LoraFactors& factors, double scale, std::size_t first_row,
                 std::span<double> weight) {
  const std::size_t width = factors.a.columns;
  MOESAIC_ASSERT(width > 0 && weight.size() % width == 0);
  MOESAIC_ASSERT(first_row + weight.size() / width <= factors.b.rows);
  for (std::size_t row = 0; row < weight.size() / width; ++row) {
    for (std::size_t k = 0; k < factors.a.rows; ++k) {
      const double factor = scale * factors.b.at(first_row + row, k);
      const double* from = factors.a.values.data() + k * width;
      double* to = weight.data() + row * width;
      for (std::size_t i = 0; i < width; ++i) to[i] += factor * from[i];
    }
  }
}

LoraAggregate aggregate_lora(const std::string& way, std::span<const LoraFactors> silos,
                             std::span<const double> weights, std::size_t rank) {
  if (way == "average" || way == "frozen_a")
    return {averaged(silos, weights, way == "frozen_a"), {}};
  const LoraFactors mean = stacked(silos, weights);
  if (way == "svd") return {best_of_rank(mean, rank), {}};
  if (way == "stacking") return {{Matrix(mean.b.rows, 0), Matrix(0, mean.a.columns)}, mean};
  MOESAIC_CHECK(way == "residual", ErrorKind::kRecipe, "there is no aggregation of adapters '{}'",
                way);
  const LoraFactors average = averaged(silos, weights, false);
  return {average, without(mean, average)};
}

}  // namespace moesaic::aggregate
