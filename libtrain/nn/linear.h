// Linear and GroupedLinear: the one brick for every weight that multiplies rows (projections, MLA,
// networks, experts, router, gates, output head), with a place for an adapter beside it.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <memory>
#include <vector>

#include "nn/forward_context.h"
#include "nn/ops.h"

namespace moesaic {

/// What a map makes of rows by itself, in the graph: a new tensor, and a new one for the gradient
/// of the rows.
using MapOfRows = std::function<at::Tensor(const at::Tensor& x)>;

/// What stands beside a linear map and is linear itself (low-rank adaptation, Hu et al. 2021, arXiv
/// 2106.09685). Local.
class LinearAdapter {
 public:
  virtual ~LinearAdapter() = default;
  /// x_TK, the map's input -> what takes the place of its output, map(x_TK). It calls `map` once,
  /// on the values of x_TK.
  virtual at::Tensor apply(const ForwardContext& context, const at::Tensor& x_TK,
                           const MapOfRows& map) const = 0;
};

/// As LinearAdapter, beside the maps of all experts of this rank.
class GroupedLinearAdapter {
 public:
  virtual ~GroupedLinearAdapter() = default;
  virtual at::Tensor apply(const ForwardContext& context, const at::Tensor& x_RK,
                           const RowGroups& groups, const MapOfRows& map) const = 0;
};

/// Gives the linear maps of a model their adapters, while it is made.
class AdapterFactory {
 public:
  virtual ~AdapterFactory() = default;
  /// nullptr where there is none.
  virtual std::shared_ptr<const LinearAdapter> beside(const Parameter& weight) const = 0;
  virtual std::shared_ptr<const GroupedLinearAdapter> beside_experts(
      const Parameter& weight) const = 0;
};

class Linear {
 public:
  /// `weight` [N, K], `bias` [N] or nullptr; both must outlive the map.
  explicit Linear(const Parameter& weight, const Parameter* bias = nullptr,
                  std::shared_ptr<const LinearAdapter> adapter = nullptr)
      : weight_(&weight), bias_(bias), adapter_(std::move(adapter)) {}

  /// x_TK -> [T, N], in the dtype of x.
  at::Tensor forward(const ForwardContext& context, const at::Tensor& x_TK) const;

  /// The matrix [N, K] of the map, adapter included, for products that it is absorbed into; in
  /// `dtype`, not in the graph. The bias is no part of it.
  at::Tensor matrix(const ForwardContext& context, at::ScalarType dtype) const;

  const Parameter& weight() const { return *weight_; }
  const Parameter* bias() const { return bias_; }  // nullptr: none
  /// The weight, and the bias where there is one.
  std::vector<const Parameter*> parameters() const;
  bool has_adapter() const { return adapter_ != nullptr; }

 private:
  const Parameter* weight_;
  const Parameter* bias_;
  std::shared_ptr<const LinearAdapter> adapter_;
};

class GroupedLinear {
 public:
  /// `weight` [e, N, K], the maps of this rank's experts; must outlive the map.
  explicit GroupedLinear(const Parameter& weight,
                         std::shared_ptr<const GroupedLinearAdapter> adapter = nullptr)
      : weight_(&weight), adapter_(std::move(adapter)) {}

  /// x_RK, rows in groups -> [R, N].
  at::Tensor forward(const ForwardContext& context, const at::Tensor& x_RK,
                     const RowGroups& groups) const;

  /// As forward() on one row for each expert: x_eK -> [e, N], in the master dtype, not in the graph
  /// and without gradients.
  at::Tensor forward_one_each(const ForwardContext& context, const at::Tensor& x_eK) const;

 private:
  const Parameter* weight_;
  std::shared_ptr<const GroupedLinearAdapter> adapter_;
};

}  // namespace moesaic
