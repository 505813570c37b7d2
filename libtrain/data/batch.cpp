#include "data/batch.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/empty.h>

#include "data/batch_builder.h"

namespace moesaic {

Batch empty_batch() { return BatchBuilder().build(); }

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

Batch to_device(const Batch& batch, at::Device device) {
  const auto if_there = [device](const at::Tensor& tensor) {
    return tensor.defined() ? tensor.to(device) : tensor;
  };
  return {.ids_T = if_there(batch.ids_T),
          .targets_T = batch.targets_T.to(device),
          .positions_T = batch.positions_T.to(device),
          .example_id_T = batch.example_id_T.to(device),
          .place_T = batch.place_T.to(device),
          .attention_offsets = batch.attention_offsets,
          .document_offsets = batch.document_offsets,
          .features_TF = if_there(batch.features_TF),
          .allowed_TV = if_there(batch.allowed_TV)};
}

}  // namespace moesaic
