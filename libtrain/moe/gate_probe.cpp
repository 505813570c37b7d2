#include "moe/gate_probe.h"

#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

#include <cmath>
#include <numeric>

#include "moe/host_values.h"
#include "nn/autograd.h"

namespace moesaic {
namespace {

void add_product(const at::Tensor& sum_LED, std::int64_t layer, const at::Tensor& dlogits_TE,
                 const at::Tensor& x_TD) {
  sum_LED.select(0, layer).addmm_(dlogits_TE.t(), x_TD);
}

at::Tensor norm_of(const at::Tensor& sum_LED) {
  return sum_LED.to(at::kDouble).square().sum({1, 2}).sqrt();
}

}  // namespace

GateProbe::GateProbe(const Options& o) {
  task_ = at::zeros({o.layers, o.experts, o.width}, at::TensorOptions(o.dtype).device(o.device));
  if (o.dense) dense_ = at::zeros_like(task_);
}

at::Tensor GateProbe::watch(std::int64_t layer, const at::Tensor& logits_TE,
                            const at::Tensor& x_TD) {
  return record(
      "watch_gate", {logits_TE}, logits_TE.detach().clone(),
      [this, layer, x_TD = x_TD.detach()](const Tensors& d) -> Tensors {
        add_product(task_, layer, d[0], x_TD);
        return d;
      },
      Reach::kBeyond);
}

void GateProbe::add_dense(std::int64_t layer, const at::Tensor& dlogits_TE,
                          const at::Tensor& x_TD) {
  add_product(dense_, layer, dlogits_TE, x_TD);
}

void GateProbe::reduce(const Communicator& world) {
  world.all_reduce(task_, ReduceOp::kSum, "step.gate_gradient");
  if (dense_.defined()) world.all_reduce(dense_, ReduceOp::kSum, "step.dense_gate_gradient");
}

std::vector<double> GateProbe::norms() const { return host_values(norm_of(task_)); }

std::vector<double> GateProbe::cosines() const {
  const at::Tensor dot = task_.to(at::kDouble).mul(dense_.to(at::kDouble)).sum({1, 2});
  const at::Tensor task = norm_of(task_), dense = norm_of(dense_);
  // What is left of sums that cancel has no direction.
  const double noise = task_.scalar_type() == at::kDouble ? 1e-12 : 1e-5;
  const at::Tensor cosine = dot.div(task.mul(dense).clamp_min(1e-300));
  return host_values(cosine.masked_fill(task.le(dense.mul(noise)), 0));
}

void GateReport::before(const Step& step) {
  probe_.reset();
  if (!step.logged && !step.diagnosed) return;
  options_.dense = step.diagnosed;
  probe_.emplace(options_);
}

void GateReport::before_forward(ForwardContext& context) {
  if (probe_) context.probe = &*probe_;
}

void GateReport::gradient_done(const RankContext& context, const Step& /*step*/) {
  if (probe_) probe_->reduce(context.world);
}

void GateReport::report(MetricsRow& row) const {
  const std::vector<double> norms = probe_->norms();
  row.set("gate_grad_norm",
          std::sqrt(std::inner_product(norms.begin(), norms.end(), norms.begin(), 0.0)));
  row.vectors.emplace_back("layer_gate_grad_norm", norms);
  if (!options_.dense) return;
  const std::vector<double> cosines = probe_->cosines();
  row.set("gate_cosine", std::accumulate(cosines.begin(), cosines.end(), 0.0) /
                             static_cast<double>(cosines.size()));
  row.vectors.emplace_back("layer_gate_cosine", cosines);
}

}  // namespace moesaic
