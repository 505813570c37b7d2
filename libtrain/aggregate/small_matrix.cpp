#include "aggregate/small_matrix.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace moesaic::aggregate {
namespace {

double dot_of_columns(const Matrix& a, std::size_t i, std::size_t j) {
  double sum = 0;
  for (std::size_t row = 0; row < a.rows; ++row) sum += a.at(row, i) * a.at(row, j);
  return sum;
}

// (column i, column j) becomes (c i - s j, s i + c j).
void rotate(Matrix& a, std::size_t i, std::size_t j, double c, double s) {
  for (std::size_t row = 0; row < a.rows; ++row) {
    const double x = a.at(row, i), y = a.at(row, j);
    a.at(row, i) = c * x - s * y;
    a.at(row, j) = s * x + c * y;
  }
}

// Makes columns i and j of `u` orthogonal; whether they were not.
bool make_orthogonal(Matrix& u, Matrix& v, std::size_t i, std::size_t j) {
  const double a = dot_of_columns(u, i, i), b = dot_of_columns(u, j, j);
  const double g = dot_of_columns(u, i, j);
  constexpr double kSmall = std::numeric_limits<double>::epsilon();
  if (std::abs(g) <= kSmall * std::sqrt(a) * std::sqrt(b)) return false;
  const double zeta = (b - a) / (2 * g);
  const double t = (zeta >= 0 ? 1.0 : -1.0) / (std::abs(zeta) + std::hypot(1.0, zeta));
  const double c = 1 / std::hypot(1.0, t);
  rotate(u, i, j, c, c * t);
  rotate(v, i, j, c, c * t);
  return true;
}

Matrix identity(std::size_t n) {
  Matrix one(n, n);
  for (std::size_t i = 0; i < n; ++i) one.at(i, i) = 1;
  return one;
}

}  // namespace

Matrix transposed(const Matrix& a) {
  Matrix out(a.columns, a.rows);
  for (std::size_t i = 0; i < a.rows; ++i)
    for (std::size_t j = 0; j < a.columns; ++j) out.at(j, i) = a.at(i, j);
  return out;
}

Matrix product(const Matrix& a, const Matrix& b) {
  Matrix out(a.rows, b.columns);
  for (std::size_t i = 0; i < a.rows; ++i)
    for (std::size_t k = 0; k < a.columns; ++k) {
      const double factor = a.at(i, k);
      for (std::size_t j = 0; j < b.columns; ++j) out.at(i, j) += factor * b.at(k, j);
    }
  return out;
}

Orthogonal orthogonal(const Matrix& a) {
  Orthogonal result{a, Matrix(a.columns, a.columns)};
  Matrix& q = result.q;
  for (std::size_t j = 0; j < a.columns; ++j) {
    const double before = std::sqrt(dot_of_columns(q, j, j));
    for (int pass = 0; pass < 2; ++pass)
      for (std::size_t i = 0; i < j; ++i) {
        const double part = dot_of_columns(q, i, j);
        result.r.at(i, j) += part;
        for (std::size_t row = 0; row < q.rows; ++row) q.at(row, j) -= part * q.at(row, i);
      }
    const double norm = std::sqrt(dot_of_columns(q, j, j));
    const double least = 64 * std::numeric_limits<double>::epsilon() * before;
    const bool depends = norm <= least;
    result.r.at(j, j) = depends ? 0 : norm;
    for (std::size_t row = 0; row < q.rows; ++row) q.at(row, j) = depends ? 0 : q.at(row, j) / norm;
  }
  return result;
}

SingularValues singular_values(const Matrix& a) {
  constexpr int kMostSweeps = 60;  // about 10 are needed
  Matrix u = a, v = identity(a.columns);
  bool moved = true;
  for (int sweep = 0; moved && sweep < kMostSweeps; ++sweep) {
    moved = false;
    for (std::size_t i = 0; i < a.columns; ++i)
      for (std::size_t j = i + 1; j < a.columns; ++j) moved = make_orthogonal(u, v, i, j) || moved;
  }
  std::vector<double> norms;
  for (std::size_t j = 0; j < a.columns; ++j) norms.push_back(std::sqrt(dot_of_columns(u, j, j)));
  std::vector<std::size_t> order(a.columns);
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t x, std::size_t y) { return norms[x] > norms[y]; });
  SingularValues sorted{Matrix(a.rows, a.columns), {}, Matrix(a.columns, a.columns)};
  for (std::size_t to = 0; to < a.columns; ++to) {
    const std::size_t from = order[to];
    sorted.s.push_back(norms[from]);
    for (std::size_t row = 0; row < a.rows; ++row)
      sorted.u.at(row, to) = norms[from] > 0 ? u.at(row, from) / norms[from] : 0;
    for (std::size_t row = 0; row < a.columns; ++row) sorted.v.at(row, to) = v.at(row, from);
  }
  return sorted;
}

}  // namespace moesaic::aggregate
