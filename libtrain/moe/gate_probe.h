// GateProbe: looks at what the routers learn from the task loss, in the steps that are measured.
#pragma once

#include <ATen/core/Tensor.h>

#include <optional>
#include <vector>

#include "comm/communicator.h"
#include "loss/step_part.h"
#include "nn/router_probe.h"

namespace moesaic {

class GateProbe : public RouterProbe {
 public:
  struct Options {
    std::int64_t layers = 0;  // with experts
    std::int64_t experts = 0;
    std::int64_t width = 0;
    at::ScalarType dtype = at::kFloat;
    at::Device device = at::kCPU;
    bool dense = false;  // compare with the gradient that all experts would give
  };
  explicit GateProbe(const Options& options);

  bool wants_dense() const override { return dense_.defined(); }
  at::Tensor watch(std::int64_t layer, const at::Tensor& logits_TE,
                   const at::Tensor& x_TD) override;
  void add_dense(std::int64_t layer, const at::Tensor& dlogits_TE, const at::Tensor& x_TD) override;

  /// Collective over world: sums over its micro-batches.
  void reduce(const Communicator& world);

  std::vector<double> norms() const;    // of each layer's task gradient [E, D]
  std::vector<double> cosines() const;  // to the dense gradient; 0 where one of them vanishes

 private:
  at::Tensor task_;   // [layers, E, D]
  at::Tensor dense_;  // as task_, or undefined
};

/// Has a probe in the steps that are logged, and one that compares in those that are diagnosed.
class GateReport : public StepPart {
 public:
  /// `dense` is as the step says.
  explicit GateReport(const GateProbe::Options& options) : options_(options) {}

  void before(const Step& step) override;
  void before_forward(ForwardContext& context) override;
  /// Collective over world in such a step.
  void gradient_done(const RankContext& context, const Step& step) override;
  void report(MetricsRow& row) const override;

 private:
  GateProbe::Options options_;
  std::optional<GateProbe> probe_;
};

}  // namespace moesaic
