#include "continual/label_gradient.h"

#include <ATen/ops/argsort.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/full.h>
#include <ATen/ops/full_like.h>
#include <ATen/ops/gather.h>
#include <ATen/ops/searchsorted.h>
#include <ATen/ops/softmax.h>

#include <utility>

#include "core/random.h"
#include "nn/token_uniform.h"

namespace moesaic {
namespace {

// What the rows of one depth have, depth 0 being the model's own output.
HeadRows rows_of_depth(const Batch& batch, at::Tensor hidden_TD, at::Tensor targets_T,
                       std::int64_t depth, double weight, std::uint64_t seed) {
  const RandomKey key(seed, RandomStream::kSample, static_cast<std::uint64_t>(depth), "fisher");
  const at::Tensor uniform_T = token_uniform(key, batch.place_T, 1).squeeze(1);
  return {.hidden_RD = std::move(hidden_TD),
          .target_R = std::move(targets_T),
          .uniform_R = uniform_T,
          .weight_R = at::full_like(uniform_T, weight),
          .example_R = batch.example_id_T};
}

at::Tensor joined(const std::vector<HeadRows>& parts, at::Tensor HeadRows::*field,
                  const at::Tensor& order_R) {
  std::vector<at::Tensor> tensors;
  for (const HeadRows& part : parts) tensors.push_back(part.*field);
  return at::cat(tensors).index_select(0, order_R);
}

// All depths, sorted by example.
HeadRows joined(const std::vector<HeadRows>& parts) {
  if (parts.size() == 1) return parts[0];
  std::vector<at::Tensor> examples;
  for (const HeadRows& part : parts) examples.push_back(part.example_R);
  const at::Tensor order_R = at::argsort(at::cat(examples), /*stable=*/true, 0, false);
  return {.hidden_RD = joined(parts, &HeadRows::hidden_RD, order_R),
          .target_R = joined(parts, &HeadRows::target_R, order_R),
          .uniform_R = joined(parts, &HeadRows::uniform_R, order_R),
          .weight_R = joined(parts, &HeadRows::weight_R, order_R),
          .example_R = joined(parts, &HeadRows::example_R, order_R)};
}

// The label at which the sum of the probabilities passes `uniform_R` of all.
at::Tensor drawn(const at::Tensor& p_RV, const at::Tensor& uniform_R) {
  const at::Tensor sum_RV = p_RV.cumsum(1, at::kDouble);
  const at::Tensor all_R1 = sum_RV.narrow(1, sum_RV.size(1) - 1, 1);
  const at::Tensor place_R1 = uniform_R.unsqueeze(1).mul(all_R1);
  return at::searchsorted(sum_RV, place_R1, /*out_int32=*/false, /*right=*/true)
      .clamp_max(p_RV.size(1) - 1);
}

}  // namespace

HeadRows head_rows(const Batch& batch, const ModelOutput& output, const FisherRequest& request) {
  std::vector<HeadRows> parts;
  parts.push_back(rows_of_depth(batch, output.hidden_TD, batch.targets_T, 0, 1.0, request.seed));
  const auto depths = static_cast<double>(output.ahead_TD.size());
  for (const at::Tensor& ahead_TD : output.ahead_TD) {
    const std::int64_t depth = std::ssize(parts);
    parts.push_back(rows_of_depth(batch, ahead_TD, targets_ahead(batch, depth), depth,
                                  request.mtp_coefficient / depths, request.seed));
  }
  return joined(parts);
}

void make_label_gradient(const HeadRows& rows, FisherLabels labels, std::int64_t label,
                         at::ScalarType wide, std::int64_t begin, const at::Tensor& logits) {
  const std::int64_t count = logits.size(0);
  const auto part = [&](const at::Tensor& x_R) { return x_R.narrow(0, begin, count); };
  const at::Tensor target_R1 = part(rows.target_R).unsqueeze(1);
  const at::Tensor weight_R1 = part(rows.weight_R).unsqueeze(1).masked_fill(target_R1.lt(0), 0);
  const at::Tensor values = logits.to(wide);
  if (labels == FisherLabels::kOutputNorm) {
    logits.copy_(values.mul(weight_R1.mul(2).to(wide)));
    return;
  }
  const at::Tensor p_RV = at::softmax(values, 1);
  at::Tensor label_R1 = target_R1.clamp_min(0);
  if (labels == FisherLabels::kSampled) label_R1 = drawn(p_RV, part(rows.uniform_R));
  if (labels == FisherLabels::kExact) label_R1 = at::full_like(target_R1, label);
  at::Tensor factor_R1 = weight_R1.to(wide);
  if (labels == FisherLabels::kExact) factor_R1 = factor_R1.mul(p_RV.gather(1, label_R1).sqrt());
  p_RV.scatter_add_(1, label_R1, at::full(label_R1.sizes(), -1, p_RV.options()));
  logits.copy_(p_RV.mul_(factor_R1));
}

}  // namespace moesaic
