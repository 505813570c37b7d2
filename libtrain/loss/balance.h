// Terms on the routers of MoE layers.
#pragma once

#include "loss/loss_term.h"

namespace moesaic {

/// Switch balance (Fedus et al. 2021, eq. 4 to 6; divided by K): E * sum_i f_i P_i of each MoE
/// layer, with f_i = count_i / (K T) and P_i = mean_t p_ti over one micro-batch, averaged over the
/// micro-batches of the step. 1 at balance; the gradient goes through P only. The coefficient
/// applies to each layer's loss.
class SwitchBalance : public LossTerm {
 public:
  explicit SwitchBalance(double coefficient) : coefficient_(coefficient) {}
  const char* name() const override { return "loss_balance"; }
  TermValue evaluate(const StepView& view) const override;

 private:
  double coefficient_;
};

/// The balance loss of Transformers (load_balancing_loss_func): as Switch, but the tokens of all
/// layers are pooled into one value, which is not divided by K: E * sum_i f_i P_i with f_i =
/// count_i / (L T) and P_i the mean over the L T rows.
class TransformersBalance : public LossTerm {
 public:
  explicit TransformersBalance(double coefficient) : coefficient_(coefficient) {}
  const char* name() const override { return "loss_balance"; }
  TermValue evaluate(const StepView& view) const override;

 private:
  double coefficient_;
};

/// Router z-loss (Zoph et al. 2022, eq. 5): mean over the tokens of the step of
/// logsumexp(logits)^2, for each MoE layer.
class RouterZ : public LossTerm {
 public:
  explicit RouterZ(double coefficient) : coefficient_(coefficient) {}
  const char* name() const override { return "loss_router_z"; }
  TermValue evaluate(const StepView& view) const override;

 private:
  double coefficient_;
};

}  // namespace moesaic
