#include "aggregate/lora_factors.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <span>

#include "core/error.h"
#include "core/random.h"

namespace moesaic::aggregate {
namespace {

Matrix drawn(std::size_t rows, std::size_t columns, std::uint64_t seed) {
  Matrix matrix(rows, columns);
  RandomKey(seed, RandomStream::kInit).normals(0, 1.0, matrix.values);
  return matrix;
}

double largest_difference(const Matrix& a, const Matrix& b) {
  EXPECT_EQ(a.values.size(), b.values.size());
  double largest = 0;
  for (std::size_t i = 0; i < a.values.size(); ++i)
    largest = std::max(largest, std::abs(a.values[i] - b.values[i]));
  return largest;
}

Matrix plus(Matrix a, const Matrix& b, double factor = 1) {
  for (std::size_t i = 0; i < a.values.size(); ++i) a.values[i] += factor * b.values[i];
  return a;
}

class LoraOfSilos : public testing::Test {
 protected:
  Matrix mean_of_products() const {
    Matrix mean(9, 7);
    for (std::size_t k = 0; k < silos_.size(); ++k)
      mean = plus(mean, product(silos_[k].b, silos_[k].a), weights_[k]);
    return mean;
  }
  std::vector<LoraFactors> silos_ = {{drawn(9, 2, 1), drawn(2, 7, 2)},
                                     {drawn(9, 2, 3), drawn(2, 7, 4)},
                                     {drawn(9, 2, 5), drawn(2, 7, 6)}};
  std::vector<double> weights_ = {0.5, 0.3, 0.2};
};

TEST_F(LoraOfSilos, StackingAndResidualAreTheMeanOfTheProducts) {
  for (const std::string way : {"stacking", "residual"}) {
    const LoraAggregate whole = aggregate_lora(way, silos_, weights_, 0);
    const Matrix sum =
        plus(product(whole.base.b, whole.base.a), product(whole.adapter.b, whole.adapter.a));
    EXPECT_LT(largest_difference(sum, mean_of_products()), 1e-12) << way;
  }
}

TEST_F(LoraOfSilos, AProductIsAddedToSomeRowsOfAWeight) {
  const Matrix whole = drawn(9, 7, 11);
  const Matrix expected = plus(whole, product(silos_[0].b, silos_[0].a), 1.5);
  Matrix sum = whole;
  const std::span<double> rows(sum.values);
  add_product(silos_[0], 1.5, 0, rows.first(4 * 7));
  add_product(silos_[0], 1.5, 4, rows.subspan(4 * 7));
  EXPECT_LT(largest_difference(sum, expected), 1e-14);
}

TEST_F(LoraOfSilos, PlainAveragingIsNot) {
  const LoraAggregate mean = aggregate_lora("average", silos_, weights_, 0);
  EXPECT_GT(largest_difference(product(mean.adapter.b, mean.adapter.a), mean_of_products()), 0.1);
}

TEST_F(LoraOfSilos, FrozenAIsExactAndRefusesAnotherA) {
  EXPECT_THROW(aggregate_lora("frozen_a", silos_, weights_, 0), Error);
  for (LoraFactors& silo : silos_) silo.a = silos_[0].a;
  const LoraFactors mean = aggregate_lora("frozen_a", silos_, weights_, 0).adapter;
  EXPECT_EQ(mean.a.values, silos_[0].a.values);
  EXPECT_LT(largest_difference(product(mean.b, mean.a), mean_of_products()), 1e-12);
}

// What is missing of the best approximation has the norm of the singular values left out
// (Eckart-Young), found here from the full matrix.
TEST_F(LoraOfSilos, SvdIsTheBestOfItsRank) {
  const Matrix mean = mean_of_products();
  const std::vector<double> s = singular_values(mean).s;
  for (std::size_t rank = 1; rank <= 7; ++rank) {
    const LoraFactors best = aggregate_lora("svd", silos_, weights_, rank).adapter;
    const Matrix missing = plus(mean, product(best.b, best.a), -1);
    double norm = 0, least = 0;
    for (const double value : missing.values) norm += value * value;
    for (std::size_t k = rank; k < s.size(); ++k) least += s[k] * s[k];
    EXPECT_NEAR(std::sqrt(norm), std::sqrt(least), 1e-10) << rank;
  }
}

TEST_F(LoraOfSilos, StackingTakesDifferentRanksAveragingDoesNot) {
  silos_[1] = {drawn(9, 4, 8), drawn(4, 7, 9)};
  const LoraAggregate whole = aggregate_lora("stacking", silos_, weights_, 0);
  EXPECT_EQ(whole.base.a.rows, 8U);
  EXPECT_LT(largest_difference(product(whole.base.b, whole.base.a), mean_of_products()), 1e-12);
  EXPECT_THROW(aggregate_lora("average", silos_, weights_, 0), Error);
}

TEST(SmallMatrix, SingularValuesMakeTheMatrixAgain) {
  Matrix a = drawn(6, 4, 3);
  for (std::size_t row = 0; row < 6; ++row) a.at(row, 3) = 2 * a.at(row, 0);  // rank 3
  const SingularValues found = singular_values(a);
  Matrix us = found.u;
  for (std::size_t row = 0; row < 6; ++row)
    for (std::size_t k = 0; k < 4; ++k) us.at(row, k) *= found.s[k];
  EXPECT_LT(largest_difference(product(us, transposed(found.v)), a), 1e-13);
  EXPECT_LT(found.s[3], 1e-14);
  EXPECT_TRUE(std::is_sorted(found.s.rbegin(), found.s.rend()));
  const Orthogonal parts = orthogonal(a);
  EXPECT_LT(largest_difference(product(parts.q, parts.r), a), 1e-13);
}

}  // namespace
}  // namespace moesaic::aggregate
