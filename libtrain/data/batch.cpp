#include "data/batch.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/full_like.h>

#include <algorithm>

#include "data/batch_builder.h"

namespace moesaic {

Batch empty_batch() { return BatchBuilder().build(); }

at::Tensor index_tensor(std::span<const std::int64_t> values) {
  at::Tensor tensor = at::empty({std::ssize(values)}, at::kLong);
  std::copy(values.begin(), values.end(), tensor.mutable_data_ptr<std::int64_t>());
  return tensor;
}

namespace {

// Of each token: the one `ahead` after it, and whether its document has it.
struct Ahead {
  at::Tensor index_T;  // within the tokens, also where there is none
  at::Tensor exists_T;
};

Ahead look_ahead(const Batch& batch, std::int64_t ahead) {
  const std::int64_t tokens = batch.tokens();
  at::Tensor end_T = at::empty({tokens}, at::kLong);
  for (std::size_t d = 0; d + 1 < batch.document_offsets.size(); ++d) {
    const std::int64_t begin = batch.document_offsets[d], end = batch.document_offsets[d + 1];
    end_T.narrow(0, begin, end - begin).fill_(end);
  }
  const at::Tensor index_T = at::arange(ahead, ahead + tokens, at::kLong);
  const at::Device device = batch.ids_T.device();
  return {index_T.clamp_max(tokens - 1).to(device), index_T.lt(end_T).to(device)};
}

}  // namespace

at::Tensor targets_ahead(const Batch& batch, std::int64_t ahead) {
  const Ahead a = look_ahead(batch, ahead);
  return batch.targets_T.index_select(0, a.index_T)
      .masked_fill(a.exists_T.logical_not(), kNoTarget);
}

at::Tensor ids_ahead(const Batch& batch, std::int64_t ahead) {
  const Ahead a = look_ahead(batch, ahead);
  const at::Tensor known_T = batch.ids_T.index_select(0, a.index_T);
  return known_T.where(a.exists_T, targets_ahead(batch, ahead - 1).clamp_min(0));
}

namespace {

// The batch with each tensor of rows as `change` makes it.
template <class Change>
Batch with_rows(const Batch& batch, const Change& change) {
  Batch changed = batch;
  for (at::Tensor* rows :
       {&changed.ids_T, &changed.targets_T, &changed.positions_T, &changed.example_id_T,
        &changed.place_T, &changed.features_TF, &changed.allowed_TV}) {
    if (rows->defined()) *rows = change(*rows);
  }
  return changed;
}

// Those of spans that are cut off after `rows`.
std::vector<std::int64_t> cut(std::vector<std::int64_t> offsets, std::int64_t rows) {
  std::erase_if(offsets, [rows](std::int64_t offset) { return offset > rows; });
  if (offsets.back() < rows) offsets.push_back(rows);
  return offsets;
}

}  // namespace

Batch first_rows(const Batch& batch, std::int64_t rows) {
  Batch first = with_rows(batch, [rows](const at::Tensor& x_T) { return x_T.narrow(0, 0, rows); });
  first.attention_offsets = cut(batch.attention_offsets, rows);
  first.document_offsets = cut(batch.document_offsets, rows);
  return first;
}

namespace {

void append_offsets(const std::vector<std::int64_t>& more, std::vector<std::int64_t>& offsets) {
  const std::int64_t first = offsets.back();
  for (std::size_t i = 1; i < more.size(); ++i) offsets.push_back(first + more[i]);
}

}  // namespace

at::Tensor examples_of_places(const at::Tensor& places) {
  return places.bitwise_and(~kOwnDraws).bitwise_right_shift(kPlaceBits);
}

at::Tensor with_example(const at::Tensor& places, const at::Tensor& id) {
  constexpr std::int64_t kOthers = kOwnDraws | ((std::int64_t{1} << kPlaceBits) - 1);
  return places.bitwise_and(kOthers).add(id.bitwise_left_shift(kPlaceBits));
}

Batch joined(const std::vector<Batch>& examples, std::int64_t example) {
  Batch all;
  std::vector<Batch> numbered = examples;
  for (Batch& batch : numbered) {
    batch.example_id_T = at::full_like(batch.example_id_T, example);
    batch.place_T = with_example(batch.place_T, batch.example_id_T);
    append_offsets(batch.attention_offsets, all.attention_offsets);
    append_offsets(batch.document_offsets, all.document_offsets);
    ++example;
  }
  for (at::Tensor Batch::*rows :
       {&Batch::ids_T, &Batch::targets_T, &Batch::positions_T, &Batch::example_id_T,
        &Batch::place_T, &Batch::features_TF, &Batch::allowed_TV}) {
    std::vector<at::Tensor> parts;
    for (const Batch& batch : numbered)
      if ((batch.*rows).defined()) parts.push_back(batch.*rows);
    if (!parts.empty() && parts.size() == numbered.size()) all.*rows = at::cat(parts);
  }
  return all;
}

Batch to_device(const Batch& batch, at::Device device) {
  return with_rows(batch, [device](const at::Tensor& x_T) { return x_T.to(device); });
}

}  // namespace moesaic
