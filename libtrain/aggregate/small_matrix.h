// Dense linear algebra in float64 for matrices with few columns: what adapters need. Row major.
#pragma once

#include <cstddef>
#include <vector>

namespace moesaic::aggregate {

struct Matrix {
  std::size_t rows = 0, columns = 0;
  std::vector<double> values = {};  // rows x columns

  Matrix() = default;
  Matrix(std::size_t row_count, std::size_t column_count)
      : rows(row_count), columns(column_count), values(row_count * column_count, 0.0) {}
  double& at(std::size_t row, std::size_t column) { return values[row * columns + column]; }
  double at(std::size_t row, std::size_t column) const { return values[row * columns + column]; }
};

Matrix transposed(const Matrix& a);
Matrix product(const Matrix& a, const Matrix& b);

/// a = q r: the columns of q are orthonormal, or zero where one of a depends on those before it.
struct Orthogonal {
  Matrix q, r;
};
/// Modified Gram-Schmidt, each column twice (Giraud et al., 2005: orthogonal to rounding).
Orthogonal orthogonal(const Matrix& a);

/// a = u diag(s) v^T with s falling. A zero singular value has a zero column in u.
struct SingularValues {
  Matrix u;
  std::vector<double> s;
  Matrix v;
};
/// One-sided Jacobi rotations (Hestenes, 1958) of the columns.
SingularValues singular_values(const Matrix& a);

}  // namespace moesaic::aggregate
