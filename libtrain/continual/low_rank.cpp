#include "continual/low_rank.h"

#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>

#include "config/lora_targets.h"

namespace moesaic {
namespace {

constexpr std::int64_t kBlockValues = 1 << 20;  // of a change that exist at a time

// Of one matrix. d_a and d_b are added to.
double pull_matrix(const at::Tensor& a_rK, const at::Tensor& b_Nr, double scale,
                   const at::Tensor& importance_NK, const at::Tensor& anchor_NK, double factor,
                   at::Tensor d_a_rK, at::Tensor d_b_Nr) {
  const std::int64_t rows = b_Nr.size(0);
  const std::int64_t step = std::max<std::int64_t>(1, kBlockValues / a_rK.size(1));
  double sum = 0;
  for (std::int64_t first = 0; first < rows; first += step) {
    const std::int64_t count = std::min(step, rows - first);
    const at::Tensor b = b_Nr.narrow(0, first, count);
    at::Tensor way = at::matmul(b, a_rK).mul_(scale);
    if (anchor_NK.defined()) way.sub_(anchor_NK.narrow(0, first, count));
    const at::Tensor pulled =
        importance_NK.defined() ? way.mul(importance_NK.narrow(0, first, count)) : way;
    sum += pulled.mul(way).sum(at::kDouble).item<double>();
    d_b_Nr.narrow(0, first, count).addmm_(pulled, a_rK.t(), 1, factor * scale);
    d_a_rK.addmm_(b.t(), pulled, 1, factor * scale);
  }
  return sum;
}

// Of one matrix: B A - before_B before_A, as a sum of what does not nearly cancel.
void add_work_of_matrix(const at::Tensor& a_rK, const at::Tensor& b_Nr, double scale,
                        const at::Tensor& before_a_rK, const at::Tensor& before_b_Nr,
                        const at::Tensor& gradient_NK, const at::Tensor& work_NK) {
  const std::int64_t rows = b_Nr.size(0);
  const std::int64_t step = std::max<std::int64_t>(1, kBlockValues / a_rK.size(1));
  const at::Tensor moved_a_rK = a_rK.sub(before_a_rK);
  for (std::int64_t first = 0; first < rows; first += step) {
    const auto part = [&](const at::Tensor& whole) {
      return whole.narrow(0, first, std::min(step, rows - first));
    };
    at::Tensor way = at::matmul(part(b_Nr), moved_a_rK);
    way.addmm_(part(b_Nr).sub(part(before_b_Nr)), before_a_rK);
    part(work_NK).addcmul_(part(gradient_NK), way, -scale);
  }
}

// One matrix of a stack; what is not defined stays so.
at::Tensor matrix_at(const at::Tensor& stack, std::int64_t index) {
  return stack.defined() ? stack.select(0, index) : stack;
}

}  // namespace

std::vector<LowRankPair> low_rank_pairs(const Recipe& recipe, const arch::Options& arch,
                                        const ParameterSet& parameters) {
  std::vector<LowRankPair> pairs;
  if (!recipe.adapt || !recipe.adapt->lora) return pairs;
  for (const LoraTarget& target :
       lora_targets(*recipe.adapt->lora, arch, arch::parameter_table(arch))) {
    const Parameter* a = parameters.find(lora_a_name(target.weight));
    const Parameter* b = parameters.find(lora_b_name(target.weight));
    if (a == nullptr || b == nullptr) continue;  // trained in full
    pairs.push_back({*parameters.find(target.weight), *a, *b, target.scale,
                     parameters.find(lora_magnitude_name(target.weight))});
  }
  return pairs;
}

at::Tensor change_of(const LowRankPair& pair) {
  return at::matmul(pair.b.tensor, pair.a.tensor).mul_(pair.scale);
}

void merge(const LowRankPair& pair, at::Tensor whole) {
  whole.add_(change_of(pair));
  if (pair.magnitude == nullptr) return;
  at::Tensor length = at::linalg_vector_norm(whole, 2, at::IntArrayRef{-1}, /*keepdim=*/true);
  length.masked_fill_(length.eq(0), 1);  // of a row of zeros, which stays one
  whole.div_(length).mul_(pair.magnitude->tensor.unsqueeze(-1));
}

LowRankPull low_rank_pull(const LowRankPair& pair, const at::Tensor& importance,
                          const at::Tensor& anchor, double factor) {
  const at::Tensor &a = pair.a.tensor, &b = pair.b.tensor;
  LowRankPull pull{at::zeros_like(a), at::zeros_like(b)};
  if (a.dim() == 2) {
    pull.sum = pull_matrix(a, b, pair.scale, importance, anchor, factor, pull.d_a, pull.d_b);
    return pull;
  }
  for (std::int64_t e = 0; e < a.size(0); ++e) {
    pull.sum +=
        pull_matrix(a.select(0, e), b.select(0, e), pair.scale, matrix_at(importance, e),
                    matrix_at(anchor, e), factor, pull.d_a.select(0, e), pull.d_b.select(0, e));
  }
  return pull;
}

void add_work(const LowRankPair& pair, const at::Tensor& before_a, const at::Tensor& before_b,
              const at::Tensor& gradient, const at::Tensor& work) {
  const at::Tensor &a = pair.a.tensor, &b = pair.b.tensor;
  if (a.dim() == 2) return add_work_of_matrix(a, b, pair.scale, before_a, before_b, gradient, work);
  for (std::int64_t e = 0; e < a.size(0); ++e)
    add_work_of_matrix(a.select(0, e), b.select(0, e), pair.scale, before_a.select(0, e),
                       before_b.select(0, e), gradient.select(0, e), work.select(0, e));
}

}  // namespace moesaic
