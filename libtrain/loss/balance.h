// Terms on the routers of MoE layers.
#pragma once

#include <optional>

#include "loss/loss_term.h"
#include "loss/unit_mean.h"

namespace moesaic {

/// Balance terms of the form E * sum_i f_i P_i for each MoE layer, P_i being what the router gives
/// expert i and f_i what it gets; the gradient goes through P only. 1 at balance. The coefficient
/// applies to each layer's loss.
class LayerBalance : public LossTerm {
 public:
  explicit LayerBalance(double coefficient) : coefficient_(coefficient) {}
  const char* name() const override { return "loss_balance"; }
  TermValue evaluate(const StepView& view) override;

 protected:
  /// One layer's share of the step's loss.
  virtual at::Tensor layer(const StepView& view, std::size_t index) const = 0;

 private:
  double coefficient_;
};

/// Switch balance (Fedus et al. 2021, eq. 4 to 6; divided by K): f_i = count_i / choices, P_i =
/// mean_t p_ti over one micro-batch, averaged over the micro-batches of the step.
class SwitchBalance : public LayerBalance {
 public:
  using LayerBalance::LayerBalance;

 protected:
  at::Tensor layer(const StepView& view, std::size_t index) const override;
};

/// GShard balance (Lepikhin et al. 2020, algorithm 1, times E^2 as its code has it): as Switch, but
/// f_i = share of the tokens whose first choice is i.
class GshardBalance : public LayerBalance {
 public:
  using LayerBalance::LayerBalance;

 protected:
  at::Tensor layer(const StepView& view, std::size_t index) const override;
};

/// Sequence balance (DeepSeek-AI 2024, arXiv 2412.19437, eq. 17 to 20): as Switch over each
/// sequence, f_i counting the top K of the scores alone, without correction bias and groups;
/// averaged over the sequences of the step, or with `units` over those of each unit. A sequence is
/// a document of the batch.
class SequenceBalance : public LayerBalance {
 public:
  explicit SequenceBalance(double coefficient, std::optional<UnitMean> units = {})
      : LayerBalance(coefficient), units_(units) {}

 protected:
  at::Tensor layer(const StepView& view, std::size_t index) const override;

 private:
  std::optional<UnitMean> units_;
};

/// Global balance (Qiu et al. 2025, arXiv 2501.11873, eq. 4): as Switch with one f_i for all ranks:
/// that of the round under way and the rounds before it in this step; P_i is the mean over the
/// step's tokens. Collective over world, once a micro-batch.
class GlobalBalance : public LossTerm {
 public:
  explicit GlobalBalance(double coefficient) : coefficient_(coefficient) {}
  const char* name() const override { return "loss_balance"; }
  void begin_step() override { earlier_count_LE_ = at::Tensor(); }
  TermValue evaluate(const StepView& view) override;

 private:
  double coefficient_;
  at::Tensor earlier_count_LE_;  // choices of this rank's rounds so far; undefined before the first
};

/// The balance loss of Transformers (load_balancing_loss_func): as Switch, but the tokens of all
/// layers are pooled into one value, which is not divided by K: E * sum_i f_i P_i with f_i =
/// count_i / (L T) and P_i the mean over the L T rows.
class TransformersBalance : public LossTerm {
 public:
  explicit TransformersBalance(double coefficient) : coefficient_(coefficient) {}
  const char* name() const override { return "loss_balance"; }
  TermValue evaluate(const StepView& view) override;

 private:
  double coefficient_;
};

/// Router z-loss (Zoph et al. 2022, eq. 5): mean over the tokens of the step of
/// logsumexp(logits)^2, for each MoE layer; with `units` over the tokens of a sequence, and the
/// sequences of a unit.
class RouterZ : public LossTerm {
 public:
  explicit RouterZ(double coefficient, std::optional<UnitMean> units = {})
      : coefficient_(coefficient), units_(units) {}
  const char* name() const override { return "loss_router_z"; }
  TermValue evaluate(const StepView& view) override;

 private:
  double coefficient_;
  std::optional<UnitMean> units_;
};

/// Entropy of the router's probabilities, mean over the tokens of the step, for each MoE layer
/// (Huang et al. 2024, arXiv 2403.07652, eq. 7): with threshold routing a small one means few
/// experts. `units` as in RouterZ.
class RouterEntropy : public LossTerm {
 public:
  explicit RouterEntropy(double coefficient, std::optional<UnitMean> units = {})
      : coefficient_(coefficient), units_(units) {}
  const char* name() const override { return "loss_router_entropy"; }
  TermValue evaluate(const StepView& view) override;

 private:
  double coefficient_;
  std::optional<UnitMean> units_;
};

}  // namespace moesaic
