#include "optim/optimizer.h"

#include <ATen/ops/zero.h>
#include <ATen/ops/zeros_like.h>

#include <utility>

namespace moesaic {
namespace {

class Gathering : public Optimizer {
 public:
  Gathering(std::unique_ptr<Optimizer> optimizer, std::function<void()> gather)
      : optimizer_(std::move(optimizer)), gather_(std::move(gather)) {}

  void step(const Gradients& gradients, std::int64_t step, double learning_rate) override {
    optimizer_->step(gradients, step, learning_rate);
    gather_();
  }
  StateDict state() const override { return optimizer_->state(); }

 private:
  std::unique_ptr<Optimizer> optimizer_;
  std::function<void()> gather_;
};

class Numbered : public Optimizer {
 public:
  using NumberOf = std::function<std::int64_t(std::int64_t step)>;
  Numbered(std::unique_ptr<Optimizer> optimizer, NumberOf number_of)
      : optimizer_(std::move(optimizer)), number_of_(std::move(number_of)) {}

  void step(const Gradients& gradients, std::int64_t step, double learning_rate) override {
    optimizer_->step(gradients, number_of_(step), learning_rate);
  }
  StateDict state() const override { return optimizer_->state(); }

 private:
  std::unique_ptr<Optimizer> optimizer_;
  NumberOf number_of_;
};

}  // namespace

std::unique_ptr<Optimizer> make_optimizer(const OptimizerOptions& o, const ParameterSet& parameters,
                                          const Ownership* ownership) {
  if (o.type == "sgd") return make_sgd(parameters, {o.momentum, o.weight_decay}, ownership);
  return make_adamw(parameters, {o.betas.at(0), o.betas.at(1), o.eps, o.weight_decay}, ownership);
}

std::unique_ptr<Optimizer> gathering(std::unique_ptr<Optimizer> optimizer,
                                     std::function<void()> gather) {
  return std::make_unique<Gathering>(std::move(optimizer), std::move(gather));
}

std::unique_ptr<Optimizer> numbered_by_task(std::unique_ptr<Optimizer> optimizer, TaskSteps tasks) {
  return std::make_unique<Numbered>(
      std::move(optimizer),
      [tasks = std::move(tasks)](std::int64_t step) { return tasks.place(step - 1).step + 1; });
}

std::unique_ptr<Optimizer> numbered_by_round(std::unique_ptr<Optimizer> optimizer,
                                             std::int64_t steps) {
  return std::make_unique<Numbered>(std::move(optimizer),
                                    [steps](std::int64_t step) { return (step - 1) % steps + 1; });
}

void forget(const Optimizer& optimizer) {
  for (const StateEntry& entry : optimizer.state()) at::Tensor(entry.tensor).zero_();
}

StateEntry zero_state(const Parameter& parameter, const std::string& prefix,
                      const Ownership* ownership) {
  if (ownership == nullptr) return entry_like(parameter, prefix, at::zeros_like(parameter.tensor));
  const RowRange own = ownership->own(parameter);
  const at::Tensor rows = parameter.tensor.narrow(0, own.first, own.count);
  return spread_entry_like(parameter, prefix, at::zeros_like(rows), own);
}

}  // namespace moesaic
