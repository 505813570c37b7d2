// Cross entropy together with the output head: logits exist only for a block of rows at a time.
#pragma once

#include <optional>

#include "loss/loss_term.h"
#include "loss/unit_mean.h"

namespace moesaic {

/// Sum over target tokens divided by the target tokens of the whole step (nats per token), or with
/// `units` the sum over units of the mean over each one's own target tokens. The
/// gradients are made in the same pass over the logits (as in Liger Kernel, arXiv 2410.10989,
/// section 3.2): that of the head goes to the sink in evaluate().
class CrossEntropy : public LossTerm {
 public:
  explicit CrossEntropy(std::optional<UnitMean> units = {}) : units_(units) {}
  const char* name() const override { return "loss"; }
  TermValue evaluate(const StepView& view) override;

 private:
  std::optional<UnitMean> units_;
};

/// Multi-token prediction (DeepSeek-AI 2024, arXiv 2412.19437, eq. 24 and 25): the mean over the
/// depths of the cross entropy of the token so far ahead, each divided by the target tokens of the
/// step.
class FurtherCrossEntropy : public LossTerm {
 public:
  explicit FurtherCrossEntropy(double coefficient, std::optional<UnitMean> units = {})
      : coefficient_(coefficient), units_(units) {}
  const char* name() const override { return "loss_mtp"; }
  TermValue evaluate(const StepView& view) override;

 private:
  double coefficient_;
  std::optional<UnitMean> units_;
};

/// -log p(target) of each row, 0 where there is no target; no gradient. [T], float32 or float64.
at::Tensor token_losses(const ForwardContext& context, const Linear& head,
                        const at::Tensor& hidden_TD, const at::Tensor& targets_T);

/// Rows whose target is the likeliest output, the first of them where several are. Local.
std::int64_t count_found(const ForwardContext& context, const Linear& head,
                         const at::Tensor& hidden_TD, const at::Tensor& targets_T);

}  // namespace moesaic
