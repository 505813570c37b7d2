// Batch: one micro-batch, ragged and flat. Shapes: T rows, which are tokens or, in the place of
// these, rows of F features; V outputs of the model. What a row belongs to is said once for each
// use of it: where attention ends, which document, which example, which draw.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>
#include <vector>

namespace moesaic {

/// Target value of a position that has no target.
inline constexpr std::int64_t kNoTarget = -100;

/// place = example id * 2^kPlaceBits + number of the token within its example.
inline constexpr int kPlaceBits = 32;
/// Set in places whose low bits are made of the example's own tokens: draws are keyed by these alone,
/// so that no other example changes them (units of privacy).
inline constexpr std::int64_t kOwnDraws = std::int64_t{1} << 62;
/// The example ids of places, and places as they are where all rows are of the example `id`.
at::Tensor examples_of_places(const at::Tensor& places);
at::Tensor with_example(const at::Tensor& places, const at::Tensor& id);

struct Batch {
  at::Tensor ids_T;         // int64; undefined where the rows are features
  at::Tensor targets_T;     // int64, the next token, or the label, or kNoTarget
  at::Tensor positions_T;   // int64, that the rotary embedding turns by: from 0 in each document
  at::Tensor example_id_T;  // int64, within the step: whose gradient the row's part belongs to
  at::Tensor place_T;       // int64, whose row it is, and what a draw is keyed by
  std::vector<std::int64_t> attention_offsets = {0};  // into T: spans that attention stays inside
  std::vector<std::int64_t> document_offsets = {0};   // into T: documents, which balance terms of
                                                      // sequences and looking ahead stay inside
  at::Tensor features_TF = {};  // float32, or float64 in float64 runs; undefined: tokens
  at::Tensor allowed_TV = {};   // bool, the outputs that a row may have; undefined: all of them

  std::int64_t tokens() const { return attention_offsets.back(); }
  std::int64_t attention_spans() const { return std::ssize(attention_offsets) - 1; }
  std::int64_t documents() const { return std::ssize(document_offsets) - 1; }
};

/// For each token the id of the one `ahead` places after it in its document, 0 where none is known:
/// the last target is.
at::Tensor ids_ahead(const Batch& batch, std::int64_t ahead);
/// For each token what is to be predicted `ahead` places after it in its document, or kNoTarget.
at::Tensor targets_ahead(const Batch& batch, std::int64_t ahead);

/// The first `rows` tokens of a batch.
Batch first_rows(const Batch& batch, std::int64_t rows);

/// Batches of one example each, one after the other; the first one's number becomes `example`.
Batch joined(const std::vector<Batch>& examples, std::int64_t example);

/// The same on another device.
Batch to_device(const Batch& batch, at::Device device);

/// A micro-batch without tokens: a rank without one joins the collectives with it.
Batch empty_batch();

/// int64 [n], on the host.
at::Tensor index_tensor(std::span<const std::int64_t> values);

}  // namespace moesaic
