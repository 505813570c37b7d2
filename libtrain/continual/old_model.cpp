#include "continual/old_model.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/zeros.h>

#include <utility>

#include "data/images.h"

namespace moesaic {
namespace {

// Room for the same values; copies of them in the compute dtype may be kept.
ParameterSet room_like(const ParameterSet& live, const RankContext& context,
                       const arch::Options& arch, at::ScalarType master) {
  const auto table = arch::parameter_table(arch);
  return ParameterSet(table, {.dtype = master,
                              .initialise = false,
                              .device = live.master_options().device(),
                              .rank = context.rank(),
                              .plan = context.plan});
}

void copy_values(const Parameter& from, const Parameter& to) {
  if (!from.quantised.defined()) return void(at::Tensor(to.tensor).copy_(from.tensor));
  const at::ScalarType dtype = to.tensor.scalar_type();
  for (std::int64_t i = 0; i < from.matrices(); ++i)
    to.matrix(i, dtype).copy_(from.matrix(i, dtype));
}

}  // namespace

OldModel::OldModel(const ParameterSet& parameters, std::vector<LowRankPair> pairs,
                   const RankContext& context, const arch::Options& arch,
                   const Computation& computation, const MakeModel& make_model, bool knows)
    : live_(parameters),
      pairs_(std::move(pairs)),
      own_(room_like(parameters, context, arch, computation.precision.master)),
      computation_{.precision = computation.precision,
                   .matmul = computation.matmul,
                   .world = computation.world},
      model_(make_model(own_)),
      knows_(at::zeros({}, at::kDouble)) {
  take();
  knows_.fill_(knows ? 1 : 0);
}

void OldModel::take() {
  for (const Parameter& own : own_) copy_values(*live_.find(own.name), own);
  for (const LowRankPair& pair : pairs_) merge(pair, own_.find(pair.weight.name)->tensor);
  computation_.weights.invalidate();
  knows_.fill_(1);
}

void OldModel::limit_outputs() { outputs_V_ = at::zeros({head().weight().tensor.size(0)}, at::kDouble); }

void OldModel::learned(const at::Tensor& outputs_V) {
  if (outputs_V_.defined()) outputs_V_.masked_fill_(outputs_V, 1);
}

at::Tensor OldModel::outputs() const {
  return outputs_V_.defined() ? outputs_V_.gt(0) : at::Tensor();
}

at::Tensor OldModel::hidden(const ForwardContext& context) const {
  const at::NoGradGuard no_gradients;
  return model_->forward(context).hidden_TD;
}

StateDict OldModel::state() const {
  StateDict state;
  for (const Parameter& own : own_) state.push_back(entry_like(own, "old", own.tensor));
  state.push_back({.name = "old_model/knows", .tensor = knows_, .exact = true});
  if (outputs_V_.defined()) {
    state.push_back({.name = "old_model/outputs",
                     .tensor = outputs_V_,
                     .global_shape = {outputs_V_.size(0)},
                     .exact = true});
  }
  return state;
}

namespace {

class SavedOldModel : public StepPart {
 public:
  explicit SavedOldModel(std::shared_ptr<OldModel> old) : old_(std::move(old)) {}
  StateDict state() const override { return old_->state(); }
  void restore(const RankContext&, const Json&, const LiveState&) override { old_->changed(); }
  // Its experts may have moved with those that are trained.
  void after_save(const RankContext&, const LiveState&) override { old_->changed(); }

 private:
  std::shared_ptr<OldModel> old_;
};

class RenewedOldModel : public TaskEnd {
 public:
  RenewedOldModel(std::shared_ptr<OldModel> old, const arch::Options& arch)
      : old_(std::move(old)), arch_(arch) {}
  void task_ended(const RankContext&, const LearnedTask& task) override {
    old_->take();
    if (!old_->outputs().defined()) return;
    for (const SourceOptions& source : task.recipe.data.train)
      old_->learned(outputs_of(source, choose_images(source, arch_), arch_));
  }

 private:
  std::shared_ptr<OldModel> old_;
  arch::Options arch_;
};

}  // namespace

std::unique_ptr<StepPart> saving(std::shared_ptr<OldModel> old) {
  return std::make_unique<SavedOldModel>(std::move(old));
}

std::unique_ptr<TaskEnd> renewing(std::shared_ptr<OldModel> old, const arch::Options& arch) {
  return std::make_unique<RenewedOldModel>(std::move(old), arch);
}

}  // namespace moesaic
