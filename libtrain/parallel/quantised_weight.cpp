#include "parallel/quantised_weight.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <span>

#include "core/error.h"
#include "parallel/gguf_dequantise.h"
#include "parallel/quantise.h"
#include "parallel/threads.h"

namespace moesaic {
namespace {

using arch::Nf4Layout;
using arch::Storage;

constexpr std::int64_t kNf4Block = Nf4Layout::kBlock;

template <class T>
std::span<T> values_of(at::Tensor& tensor) {
  return {tensor.mutable_data_ptr<T>(), static_cast<std::size_t>(tensor.numel())};
}
template <class T>
std::span<const T> values_of(const at::Tensor& tensor) {
  return {tensor.const_data_ptr<T>(), static_cast<std::size_t>(tensor.numel())};
}

template <class T>
std::span<T> piece(std::span<T> all, std::int64_t first, std::int64_t end) {
  const auto begin = static_cast<std::size_t>(first);
  return all.subspan(begin, std::min(static_cast<std::size_t>(end), all.size()) - begin);
}

// Calls visit(first, end) for rows, or for blocks of NF4, on several threads.
template <class Visit>
void for_each_in_parallel(std::int64_t count, std::int64_t values_each, const Visit& visit) {
  constexpr std::int64_t kGrainValues = 1 << 15;
  on_threads(count, std::max<std::int64_t>(1, kGrainValues / values_each), visit);
}

std::vector<at::Tensor> parts_without_values(Storage storage, std::int64_t matrices,
                                             std::int64_t rows, std::int64_t columns,
                                             at::Device device) {
  const auto zeros = [&](std::vector<std::int64_t> shape, at::ScalarType dtype) {
    shape.insert(shape.begin(), matrices);
    return at::zeros(shape, at::TensorOptions(dtype).device(device));
  };
  if (storage == Storage::kInt8)
    return {zeros({rows, columns}, at::kChar), zeros({rows}, at::kFloat)};
  const Nf4Layout layout{rows * columns};
  return {zeros({layout.code_bytes()}, at::kByte), zeros({layout.blocks()}, at::kByte),
          zeros({layout.outer_blocks()}, at::kFloat), zeros({1}, at::kFloat)};
}

void quantise_int8(const at::Tensor& values_NK, std::vector<at::Tensor>& into) {
  const std::int64_t columns = values_NK.size(1);
  const auto values = values_of<float>(values_NK);
  const auto codes = values_of<std::int8_t>(into[0]);
  const auto scales = values_of<float>(into[1]);
  for_each_in_parallel(values_NK.size(0), columns, [&](std::int64_t first, std::int64_t end) {
    for (std::int64_t row = first; row < end; ++row) {
      const std::int64_t begin = row * columns;
      scales[static_cast<std::size_t>(row)] = int8::quantise(piece(values, begin, begin + columns),
                                                             piece(codes, begin, begin + columns));
    }
  });
}

void quantise_nf4(const at::Tensor& values_NK, std::vector<at::Tensor>& into) {
  const std::int64_t blocks = Nf4Layout{values_NK.numel()}.blocks();
  at::Tensor scales_b = at::empty({blocks}, at::kFloat);
  const auto values = values_of<float>(values_NK);
  const auto codes = values_of<std::uint8_t>(into[0]);
  const auto scales = values_of<float>(scales_b);
  for_each_in_parallel(blocks, kNf4Block, [&](std::int64_t first, std::int64_t end) {
    nf4::quantise_blocks(piece(values, first * kNf4Block, end * kNf4Block),
                         piece(codes, first * kNf4Block / 2, end * kNf4Block / 2),
                         piece(scales, first, end));
  });
  values_of<float>(into[3])[0] =
      nf4::quantise_scales(scales, values_of<std::uint8_t>(into[1]), values_of<float>(into[2]));
}

void dequantise_int8(const std::vector<at::Tensor>& from, at::Tensor& values_NK) {
  const std::int64_t columns = values_NK.size(1);
  const auto values = values_of<float>(values_NK);
  const auto codes = values_of<std::int8_t>(from[0]);
  const auto scales = values_of<float>(from[1]);
  for_each_in_parallel(values_NK.size(0), columns, [&](std::int64_t first, std::int64_t end) {
    for (std::int64_t row = first; row < end; ++row) {
      const std::int64_t begin = row * columns;
      int8::dequantise(piece(codes, begin, begin + columns), scales[static_cast<std::size_t>(row)],
                       piece(values, begin, begin + columns));
    }
  });
}

void dequantise_nf4(const std::vector<at::Tensor>& from, at::Tensor& values_NK) {
  const std::int64_t blocks = from[1].numel();
  at::Tensor scales_b = at::empty({blocks}, at::kFloat);
  const auto scales = values_of<float>(scales_b);
  nf4::dequantise_scales(values_of<std::uint8_t>(from[1]), values_of<float>(from[2]),
                         from[3].item<float>(), scales);
  const auto values = values_of<float>(values_NK);
  const auto codes = values_of<std::uint8_t>(from[0]);
  for_each_in_parallel(blocks, kNf4Block, [&](std::int64_t first, std::int64_t end) {
    nf4::dequantise_blocks(piece(codes, first * kNf4Block / 2, end * kNf4Block / 2),
                           piece(std::span<const float>(scales), first, end),
                           piece(values, first * kNf4Block, end * kNf4Block));
  });
}

// The numbers that the codes stand for, beside the codes.
template <std::size_t count>
at::Tensor looked_up(const std::array<float, count>& numbers, const at::Tensor& codes) {
  const at::Tensor table =
      at::from_blob(const_cast<float*>(numbers.data()), {static_cast<std::int64_t>(count)});
  return table.to(codes.device()).index_select(0, codes.to(at::kInt));
}

// A value for each block -> one for each of its members, of which there are `count` in all.
at::Tensor spread_over(const at::Tensor& blocks, std::int64_t block_size, std::int64_t count) {
  return blocks.repeat_interleave(block_size).narrow(0, 0, count);
}

}  // namespace

QuantisedWeight::QuantisedWeight(Storage storage, const std::vector<std::int64_t>& shape,
                                 at::Device device)
    : storage_(storage) {
  MOESAIC_ASSERT(storage == Storage::kInt8 || storage == Storage::kNf4);
  set_shape(shape);
  parts_ = parts_without_values(storage, matrices_, rows_, columns_, device);
}

QuantisedWeight::QuantisedWeight(const GgufTensorType& blocks,
                                 const std::vector<std::int64_t>& shape)
    : storage_(Storage::kFileBlocks), blocks_(&blocks) {
  set_shape(shape);
  MOESAIC_ASSERT(columns_ % blocks.values == 0);
  parts_ = {at::zeros({matrices_, rows_, columns_ / blocks.values * blocks.bytes}, at::kByte)};
}

void QuantisedWeight::set_shape(const std::vector<std::int64_t>& shape) {
  MOESAIC_ASSERT(shape.size() == 2 || shape.size() == 3);
  rows_ = shape[shape.size() - 2];
  columns_ = shape[shape.size() - 1];
  matrices_ = shape.size() == 3 ? shape[0] : 1;
}

std::vector<at::Tensor> QuantisedWeight::parts_of(std::int64_t i) const {
  std::vector<at::Tensor> parts;
  for (const at::Tensor& all : parts_) parts.push_back(all.select(0, i));
  return parts;
}

void QuantisedWeight::fill(const std::function<void(std::int64_t, const at::Tensor&)>& read) {
  MOESAIC_ASSERT(storage_ != Storage::kFileBlocks);
  const at::Tensor values_NK = at::empty({rows_, columns_}, at::kFloat);
  std::vector<at::Tensor> host = parts_without_values(storage_, 1, rows_, columns_, at::kCPU);
  for (std::int64_t i = 0; i < matrices_; ++i) {
    read(i, values_NK);
    if (storage_ == Storage::kInt8)
      quantise_int8(values_NK, host);
    else
      quantise_nf4(values_NK, host);
    const std::vector<at::Tensor> own = parts_of(i);
    for (std::size_t k = 0; k < own.size(); ++k) own[k].copy_(host[k].squeeze(0));
  }
}

at::Tensor QuantisedWeight::matrix(std::int64_t i, at::ScalarType dtype) const {
  if (blocks_ != nullptr) return numbers(rows_in_blocks(i), dtype);
  if (!parts_[0].is_cpu()) return matrix_by_kernels(i, dtype);
  const std::vector<at::Tensor> own = parts_of(i);
  at::Tensor values_NK = at::empty({rows_, columns_}, at::kFloat);
  if (storage_ == Storage::kInt8)
    dequantise_int8(own, values_NK);
  else
    dequantise_nf4(own, values_NK);
  return values_NK.to(dtype);
}

at::Tensor QuantisedWeight::numbers(const at::Tensor& rows_RB, at::ScalarType dtype) const {
  MOESAIC_ASSERT(blocks_ != nullptr);
  const at::Tensor rows = rows_RB.contiguous();
  const at::Tensor numbers_RK = at::empty({rows.size(0), columns_}, at::kFloat);
  const auto* const from = rows.const_data_ptr<std::uint8_t>();
  auto* const to = numbers_RK.mutable_data_ptr<float>();
  for_each_in_parallel(rows.size(0), columns_, [&](std::int64_t first, std::int64_t end) {
    dequantise(*blocks_, from + first * rows.size(1), (end - first) * columns_,
               to + first * columns_);
  });
  return numbers_RK.to(dtype);
}

at::Tensor QuantisedWeight::matrix_by_kernels(std::int64_t i, at::ScalarType dtype) const {
  MOESAIC_ASSERT(blocks_ == nullptr);
  const std::vector<at::Tensor> own = parts_of(i);
  if (storage_ == Storage::kInt8) return own[0].to(at::kFloat).mul(own[1].unsqueeze(1)).to(dtype);
  const std::int64_t values = rows_ * columns_, blocks = own[1].numel();
  const at::Tensor halves = at::stack({own[0].bitwise_right_shift(4), own[0].bitwise_and(15)}, 1);
  const at::Tensor scales = looked_up(nf4::scale_numbers(), own[1])
                                .mul(spread_over(own[2], Nf4Layout::kOuterBlock, blocks))
                                .add(own[3]);
  return looked_up(nf4::numbers(), halves.flatten())
      .narrow(0, 0, values)
      .mul(spread_over(scales, kNf4Block, values))
      .view({rows_, columns_})
      .to(dtype);
}

}  // namespace moesaic
