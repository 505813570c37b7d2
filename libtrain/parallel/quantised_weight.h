// QuantisedWeight: a frozen weight that is kept as codes, each matrix alone, so that a layout
// changes no value. Numbers are made of the codes of one matrix where a product needs them.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <vector>

#include "arch/storage.h"
#include "config/gguf_header.h"

namespace moesaic {

class QuantisedWeight {
 public:
  QuantisedWeight() = default;  // none
  /// Codes without values yet. `shape` [N, K], or [e, N, K]: the matrices of e experts. `storage`
  /// is int8 or nf4.
  QuantisedWeight(arch::Storage storage, const std::vector<std::int64_t>& shape, at::Device device);
  /// The same of the host, in the blocks of a GGUF file; rows are whole blocks.
  QuantisedWeight(const GgufTensorType& blocks, const std::vector<std::int64_t>& shape);

  bool defined() const { return storage_ != arch::Storage::kMaster; }
  std::int64_t matrices() const { return matrices_; }
  std::int64_t rows() const { return rows_; }
  std::int64_t columns() const { return columns_; }
  /// The type of a file whose blocks it is kept in; nullptr: of none.
  const GgufTensorType* blocks() const { return blocks_; }

  /// Quantises matrix after matrix: `read`(i, values_NK) puts the values of matrix i, all finite,
  /// into a float32 tensor of the host, which is used again for the next one. Blocks of a file are
  /// no such codes: they come as they are, into rows_in_blocks().
  void fill(const std::function<void(std::int64_t, const at::Tensor&)>& read);

  /// The numbers [N, K] of matrix i, in `dtype`.
  at::Tensor matrix(std::int64_t i, at::ScalarType dtype) const;
  /// Of blocks: matrix i as bytes, a view [N, bytes of a row].
  at::Tensor rows_in_blocks(std::int64_t i) const { return parts_[0].select(0, i); }
  /// The numbers [R, K] of some of these rows, in `dtype`.
  at::Tensor numbers(const at::Tensor& rows_RB, at::ScalarType dtype) const;
  /// The same by LibTorch's kernels, as matrix() makes them on a device.
  at::Tensor matrix_by_kernels(std::int64_t i, at::ScalarType dtype) const;

  /// What it is kept in: tensors with one row for each matrix. Who moves experts moves rows.
  const std::vector<at::Tensor>& parts() const { return parts_; }

 private:
  /// The row of one matrix in each part.
  std::vector<at::Tensor> parts_of(std::int64_t i) const;

  void set_shape(const std::vector<std::int64_t>& shape);

  arch::Storage storage_ = arch::Storage::kMaster;
  const GgufTensorType* blocks_ = nullptr;
  std::int64_t matrices_ = 0, rows_ = 0, columns_ = 0;
  std::vector<at::Tensor>
      parts_;  // int8: codes, scales; nf4: codes, scale codes, outer scales, mean; file: blocks
};

}  // namespace moesaic
