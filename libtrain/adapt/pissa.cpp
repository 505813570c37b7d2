#include "adapt/pissa.h"

#include <ATen/Parallel.h>
#include <ATen/ops/linalg_svd.h>
#include <ATen/ops/matmul.h>

namespace moesaic {
namespace {

struct PissaMatrix {
  at::Tensor weight, a, b;
  double scale;
};

void append_matrices(const PissaFactors& factors, std::vector<PissaMatrix>& matrices) {
  const at::Tensor &w = factors.weight.tensor, &a = factors.a.tensor, &b = factors.b.tensor;
  if (w.dim() == 2) return matrices.push_back({w, a, b, factors.scale});
  for (std::int64_t i = 0; i < w.size(0); ++i)
    matrices.push_back({w.select(0, i), a.select(0, i), b.select(0, i), factors.scale});
}

// While it lives, LibTorch and its libraries compute by one thread: their number changes no bit.
class OneThread {
 public:
  OneThread() : before_(at::get_num_threads()) { at::set_num_threads(1); }
  ~OneThread() { at::set_num_threads(before_); }
  OneThread(const OneThread&) = delete;
  OneThread& operator=(const OneThread&) = delete;

 private:
  int before_;
};

at::Tensor in_double(const at::Tensor& values) {
  return values.detach().to(at::kDouble).to(at::kCPU);
}

void find_factors(const PissaMatrix& matrix) {
  const std::int64_t r = matrix.a.size(0);
  const auto [u, s, v] = at::linalg_svd(in_double(matrix.weight), /*full_matrices=*/false);
  const at::Tensor rows = v.narrow(0, 0, r);
  const at::Tensor largest = rows.gather(1, rows.abs().argmax(1, /*keepdim=*/true));
  const at::Tensor sign = largest.ge(0).to(at::kDouble).mul(2).sub(1);  // LAPACK leaves it open
  const at::Tensor root = s.narrow(0, 0, r).div(matrix.scale).sqrt().unsqueeze(1).mul(sign);
  matrix.a.copy_(rows.mul(root));
  matrix.b.copy_(u.narrow(1, 0, r).mul(root.t()));
}

const Communicator& holders_of(const Parameter& parameter, const RankContext& context) {
  return parameter.scope == Scope::kExpert ? context.expert_data : context.world;
}

}  // namespace

void find_principal_factors(const std::vector<PissaFactors>& all, const RankContext& context) {
  const auto root_of = [&](std::size_t i) {
    return static_cast<int>(i) % holders_of(all[i].weight, context).size();
  };
  std::vector<PissaMatrix> mine;
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (holders_of(all[i].weight, context).rank() == root_of(i)) append_matrices(all[i], mine);
  }
  const OneThread one_thread;
  for (const PissaMatrix& matrix : mine) find_factors(matrix);
  for (std::size_t i = 0; i < all.size(); ++i) {
    const Communicator& holders = holders_of(all[i].weight, context);
    holders.broadcast(all[i].a.tensor, root_of(i), "pissa: A");
    holders.broadcast(all[i].b.tensor, root_of(i), "pissa: B");
  }
}

void take_out(const std::vector<PissaFactors>& all) {
  std::vector<PissaMatrix> matrices;
  for (const PissaFactors& factors : all) append_matrices(factors, matrices);
  const OneThread one_thread;
  for (const PissaMatrix& matrix : matrices) {
    const at::Tensor change = at::matmul(in_double(matrix.b), in_double(matrix.a));
    matrix.weight.copy_(in_double(matrix.weight).sub(change, matrix.scale));
  }
}

}  // namespace moesaic
