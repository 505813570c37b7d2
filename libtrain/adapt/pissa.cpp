#include "adapt/pissa.h"

#include <ATen/Parallel.h>
#include <ATen/ops/linalg_svd.h>
#include <ATen/ops/matmul.h>

namespace moesaic {
namespace {

struct PissaMatrix {
  const Parameter& weight;
  std::int64_t i;
  at::Tensor a, b;
  double scale;

  /// In float64 on the host.
  at::Tensor values() const { return weight.matrix(i, at::kDouble).to(at::kCPU); }
};

void append_matrices(const PissaFactors& factors, std::vector<PissaMatrix>& matrices) {
  const Parameter& weight = factors.weight;
  const bool one = weight.tensor.dim() == 2;
  for (std::int64_t i = 0; i < weight.matrices(); ++i) {
    matrices.push_back({weight, i, one ? factors.a.tensor : factors.a.tensor.select(0, i),
                        one ? factors.b.tensor : factors.b.tensor.select(0, i), factors.scale});
  }
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
  const auto [u, s, v] = at::linalg_svd(matrix.values(), /*full_matrices=*/false);
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
  const OneThread one_thread;
  for (const PissaFactors& factors : all) {
    std::vector<PissaMatrix> matrices;
    append_matrices(factors, matrices);
    const auto left = [&](std::int64_t i) {
      const PissaMatrix& matrix = matrices[static_cast<std::size_t>(i)];
      const at::Tensor change = at::matmul(in_double(matrix.b), in_double(matrix.a));
      return matrix.values().sub(change, matrix.scale);
    };
    QuantisedWeight codes = factors.weight.quantised;  // which shares them
    if (codes.defined()) {
      codes.fill([&](std::int64_t i, const at::Tensor& values_NK) { values_NK.copy_(left(i)); });
      continue;
    }
    for (std::int64_t i = 0; i < factors.weight.matrices(); ++i)
      factors.weight.matrix(i, factors.weight.tensor.scalar_type()).copy_(left(i));
  }
}

}  // namespace moesaic
