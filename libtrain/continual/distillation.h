// Distillation: Learning without Forgetting (Li and Hoiem 2016, arXiv 1606.09282): the outputs on
// the new data stay near those of the old model.
#pragma once

#include <memory>
#include <optional>
#include <utility>

#include "continual/old_model.h"
#include "loss/loss_term.h"
#include "loss/unit_mean.h"

namespace moesaic {

/// lambda T^2 KL(old || new) of the distributions at temperature T (Hinton et al. 2015, arXiv
/// 1503.02531), summed over target tokens and divided by the target tokens of the step; with
/// `units` the mean over each unit's target tokens. The distributions are over the outputs that the
/// old model has learned, whatever outputs the rows of the batch may have themselves.
class Distillation : public LossTerm {
 public:
  struct Options {
    double lambda = 0;
    double temperature = 2;
    std::optional<UnitMean> units = {};
  };

  /// Nothing is computed until the old model has learned something.
  Distillation(std::shared_ptr<OldModel> old, Options options)
      : old_(std::move(old)), options_(options) {}

  const char* name() const override { return "loss_lwf"; }
  /// Collective over the expert group. The metric has lambda in it.
  TermValue evaluate(const StepView& view) override;

 private:
  std::shared_ptr<OldModel> old_;
  Options options_;
};

}  // namespace moesaic
