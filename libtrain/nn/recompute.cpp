#include "nn/recompute.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/zeros.h>
#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/functions/utils.h>

#include <memory>
#include <string>
#include <utility>

#include "core/error.h"

namespace moesaic {
namespace {

class RecomputedNode : public torch::autograd::Node {
 public:
  RecomputedNode(const char* name, Tensors inputs, Recompute again)
      : name_(name), inputs_(std::move(inputs)), again_(std::move(again)) {}

  torch::autograd::variable_list apply(torch::autograd::variable_list&& gradients) override {
    Tensors leaves;
    for (const at::Tensor& input : inputs_) {
      leaves.push_back(input.detach().requires_grad_(true));
    }
    root_of(leaves, std::move(gradients)).backward();
    torch::autograd::variable_list result;
    for (const at::Tensor& leaf : leaves) result.push_back(leaf.grad());
    return result;
  }

  std::string name() const override { return name_; }
  void release_variables() override {
    inputs_.clear();
    again_ = nullptr;
  }

 private:
  // Runs the operation on `leaves`. Backward from the result gives each output its gradient, and so
  // lets go of it once it is used, as it does of the outputs: both are as large as the inputs. An
  // output without a gradient is left out, as it would be in the graph that keeps everything: zeros
  // in its place could change the sign of a zero.
  at::Tensor root_of(const Tensors& leaves, Tensors gradients) const {
    const at::AutoGradMode with_gradients(true);
    const Tensors outputs = again_(leaves);
    MOESAIC_ASSERT(outputs.size() == gradients.size());
    Tensors used, given;
    for (std::size_t i = 0; i < outputs.size(); ++i) {
      if (!gradients[i].defined()) continue;
      used.push_back(outputs[i]);
      given.push_back(std::move(gradients[i]));
    }
    return record(name_, used, at::zeros({}),
                  [given = std::move(given)](const Tensors&) mutable { return std::move(given); });
  }

  const char* name_;
  Tensors inputs_;
  Recompute again_;
};

}  // namespace

void record_recomputed(const char* name, const Tensors& inputs, const Tensors& outputs,
                       Recompute again) {
  if (!at::GradMode::is_enabled()) return;
  Tensors kept;
  for (const at::Tensor& input : inputs) kept.push_back(input.detach());
  std::shared_ptr<RecomputedNode> node(new RecomputedNode(name, std::move(kept), std::move(again)),
                                       torch::autograd::deleteNode);
  node->set_next_edges(torch::autograd::collect_next_edges(inputs));
  torch::autograd::set_history(outputs, node);
}

SecondRun::SecondRun(const ForwardContext& first) : context_(first) {
  if (first.sink == nullptr) return;
  sink_.emplace(*first.sink);
  context_.sink = &*sink_;
}

}  // namespace moesaic
