// Squared norms of the gradient that each example of a round gives a weight. An example is what a
// row is of (ParameterUse::example_R): here the unit of privacy.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <vector>

#include "nn/example_rows.h"

namespace moesaic {

/// Squared norms, by example id from 0; float64.
using SquaredNorms = std::vector<double>;

/// Adds to `squares`, which must have a value for each example. A matrix's norm is that of its Gram
/// matrices, |sum_t g_t x_t^T|^2 = sum_tu (x_t . x_u) (g_t . g_u), where one half of these costs
/// less than the gradient itself (Goodfellow 2015, arXiv 1510.01799; Li et al. 2021, arXiv 2110.05679, section 4;
/// Bu et al. 2022, arXiv 2205.10683). Products are made in the dtype of `gradient`, sums in
/// float64. Local; the host waits for a device.
struct UnitNorms {
  MatmulKernel kernel = MatmulKernel::kMkl;
  at::Tensor gradient;  // shaped like the weight; zero before and afterwards
  SquaredNorms& squares;

  /// All uses that the examples make of the weight, none of groups: with their cross terms.
  void add(const std::vector<ParameterUse>& uses) const;
  /// All uses that one example makes of the weight, one of each kind.
  void add_example(std::int64_t example, const std::vector<ParameterUse>& own) const;
  /// Counts what `gradient` holds, which is complete, for `example`, and makes it zero.
  void take_gradient(std::int64_t example) const;
  /// Rows of one example, which are all that it has of the weight.
  double of_rows(const ParameterUse& rows) const;
};

/// The same where rows come in pieces that are gone after the call: example after example, in
/// ascending order. The rows of an example that goes on in the next piece are copied while they
/// take less memory than its gradient.
class UnitNormStream {
 public:
  /// `whole`: the other uses of the weight, which stay until the end.
  explicit UnitNormStream(UnitNorms to, const std::vector<ParameterUse>& whole = {});

  void add(const ParameterUse& piece);
  /// All pieces have come.
  void finish();

 private:
  /// The rows of an example are all in this piece, and it has no others.
  bool is_whole(const ExampleRows& rows, std::size_t run) const;
  void keep(const ParameterUse& rows);
  /// What is kept goes into the gradient.
  void add_up();
  void complete();

  UnitNorms to_;
  std::map<std::int64_t, std::vector<ParameterUse>> whole_;  // by example, those not yet complete
  std::int64_t current_ = -1;                                // example that is begun; -1 = none
  std::vector<ParameterUse> kept_;                           // its rows
  bool added_up_ = false;                                    // a part of them is in `gradient`
};

}  // namespace moesaic
