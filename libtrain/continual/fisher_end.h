// FisherEnd: at a task's end the importances of what was learned are found and remembered.
#pragma once

#include <functional>
#include <memory>
#include <utility>

#include "continual/fisher.h"
#include "continual/remembered.h"
#include "continual/task_end.h"

namespace moesaic {

/// The adapters of the run beside the weights of `parameters`; nullptr where it has none.
using MakeAdapters = std::function<std::unique_ptr<AdapterFactory>(const ParameterSet& parameters)>;

class FisherEnd : public TaskEnd {
 public:
  struct Subject {
    const Model& model;
    const ParameterSet& parameters;
    Precision precision;
    MatmulKernel matmul;
    arch::Options arch;
    MakeAdapters make_adapters;
    at::Tensor slot_LE = {};  // where the experts of the parameters lie
  };

  /// What the subject refers to, and `remembered`, must outlive it.
  FisherEnd(Subject subject, Remembered& remembered)
      : subject_(std::move(subject)), remembered_(remembered) {}

  void task_ended(const RankContext& context, const LearnedTask& task) override;

 private:
  /// Of the full weights where adapters change them: a model is made for it, of the same values.
  Importance estimate(const RankContext& context, const LearnedTask& task) const;

  Subject subject_;
  Remembered& remembered_;
};

/// l2: the anchors become the weights that the task has left.
class AnchorEnd : public TaskEnd {
 public:
  AnchorEnd(const ParameterSet& parameters, Remembered& remembered)
      : parameters_(parameters), remembered_(remembered) {}

  void task_ended(const RankContext& context, const LearnedTask&) override {
    remembered_.join(context, Importance(parameters_.size()));
  }

 private:
  const ParameterSet& parameters_;
  Remembered& remembered_;
};

}  // namespace moesaic
