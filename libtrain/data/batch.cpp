#include "data/batch.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/empty.h>

namespace moesaic {

Batch empty_batch() {
  const auto none = [] { return at::empty({0}, at::kLong); };
  return {.ids_T = none(), .targets_T = none(), .positions_T = none(), .example_id_T = none()};
}

namespace {

// Of each position: the one `ahead` places behind it, and whether its sequence has it.
struct Ahead {
  at::Tensor place_T;  // within the tokens, also where there is none
  at::Tensor exists_T;
};

Ahead look_ahead(const Batch& batch, std::int64_t ahead) {
  const std::int64_t tokens = batch.tokens();
  at::Tensor end_T = at::empty({tokens}, at::kLong);
  for (std::size_t s = 0; s + 1 < batch.sequence_offsets.size(); ++s) {
    const std::int64_t begin = batch.sequence_offsets[s], end = batch.sequence_offsets[s + 1];
    end_T.narrow(0, begin, end - begin).fill_(end);
  }
  const at::Tensor place_T = at::arange(ahead, ahead + tokens, at::kLong);
  const at::Device device = batch.ids_T.device();
  return {place_T.clamp_max(tokens - 1).to(device), place_T.lt(end_T).to(device)};
}

}  // namespace

at::Tensor targets_ahead(const Batch& batch, std::int64_t ahead) {
  const Ahead a = look_ahead(batch, ahead);
  return batch.targets_T.index_select(0, a.place_T)
      .masked_fill(a.exists_T.logical_not(), kNoTarget);
}

at::Tensor ids_ahead(const Batch& batch, std::int64_t ahead) {
  const Ahead a = look_ahead(batch, ahead);
  const at::Tensor known_T = batch.ids_T.index_select(0, a.place_T);
  return known_T.where(a.exists_T, targets_ahead(batch, ahead - 1).clamp_min(0));
}

Batch to_device(const Batch& batch, at::Device device) {
  return {batch.ids_T.to(device), batch.targets_T.to(device), batch.positions_T.to(device),
          batch.example_id_T.to(device), batch.sequence_offsets};
}

}  // namespace moesaic
