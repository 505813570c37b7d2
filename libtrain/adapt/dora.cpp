#include "adapt/dora.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/tensor.h>

#include "nn/autograd.h"

namespace moesaic {
namespace {

// Values of each weight, [e, N] or [N], as factors of rows: [R, N], or one row for all.
class RowFactors {
 public:
  RowFactors() = default;
  RowFactors(const at::Tensor& values, const std::optional<GroupOffsets>& groups)
      : values_(values.view({-1, values.size(-1)})) {
    if (!groups) return;
    const std::vector<std::int64_t>& begin = groups->host();
    std::vector<std::int64_t> expert_R;
    for (std::size_t e = 0; e + 1 < begin.size(); ++e) {
      expert_R.insert(expert_R.end(), static_cast<std::size_t>(begin[e + 1] - begin[e]),
                      static_cast<std::int64_t>(e));
    }
    expert_R_ = at::tensor(expert_R, at::kLong).to(values.device());
  }
  at::Tensor get() const {
    return expert_R_.defined() ? values_.index_select(0, expert_R_) : values_;
  }

 private:
  at::Tensor values_, expert_R_;
};

// |w + s b A|^2 = |w|^2 + 2 s b (A w) + s^2 b (A A^T) b for each row w of the weight and b of B.
at::Tensor lengths_of(const at::Tensor& w, const at::Tensor& f, const at::Tensor& g, double scale) {
  const at::Tensor f_t = f.transpose(-2, -1);
  const at::Tensor mixed = at::matmul(w, f_t).mul_(g).sum(-1);
  const at::Tensor squares = at::matmul(g, at::matmul(f, f_t)).mul_(g).sum(-1);
  const at::Tensor own = at::linalg_vector_norm(w, 2, at::IntArrayRef{-1}).square_();
  return own.add(mixed, 2 * scale).add(squares, scale * scale).clamp_min_(0).sqrt_();
}

}  // namespace

at::Tensor DoraRows::lengths() const {
  const at::NoGradGuard no_gradients;
  const at::Tensor f = a.tensor.detach(), g = b.tensor.detach();
  if (!weight.quantised.defined())
    return lengths_of(weight.tensor.to(f.scalar_type()), f, g, scale);
  Tensors of_matrix;
  for (std::int64_t i = 0; i < weight.matrices(); ++i) {
    const at::Tensor w = weight.matrix(i, f.scalar_type());
    const bool one = f.dim() == 2;
    of_matrix.push_back(lengths_of(w, one ? f : f.select(0, i), one ? g : g.select(0, i), scale));
  }
  return at::stack(of_matrix).view(magnitude.tensor.sizes());
}

at::Tensor with_magnitudes(const ForwardContext& context, const DoraRows& rows,
                           const at::Tensor& u_RN, const at::Tensor& example_R,
                           const std::optional<GroupOffsets>& groups) {
  const Parameter& magnitude = rows.magnitude;
  const bool wanted = context.open(magnitude);
  const at::ScalarType dtype = u_RN.scalar_type();
  at::Tensor length = rows.lengths();
  length.masked_fill_(length.eq(0), 1);  // of a row of zeros, which stays one
  const RowFactors factor(magnitude.tensor.detach().div(length).to(dtype), groups);
  const RowFactors inverse = wanted ? RowFactors(length.reciprocal().to(dtype), groups) : factor;
  const at::Tensor u = wanted ? u_RN.detach() : at::Tensor();
  return record(
      "with_magnitudes", {u_RN}, u_RN.detach().mul(factor.get()),
      [&context, &magnitude, wanted, factor, inverse, u, example_R,
       groups](const Tensors& dy) -> Tensors {
        if (wanted) {
          context.hand_over({.kind = ParameterUse::Kind::kBias,
                             .parameter = magnitude,
                             .input = {},
                             .output_gradient = dy[0].mul(u).mul_(inverse.get()),
                             .example_R = example_R,
                             .offsets = groups.value_or(GroupOffsets())});
        }
        return {dy[0].mul(factor.get())};
      },
      beyond_if(wanted));
}

}  // namespace moesaic
