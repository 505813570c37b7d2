#include "nn/recompute.h"

#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/autograd.h>
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

  // An output without a gradient is left out, as it would be in the graph that is made again: zeros
  // in its place could change the sign of a zero.
  torch::autograd::variable_list apply(torch::autograd::variable_list&& gradients) override {
    Tensors leaves;
    for (const at::Tensor& input : inputs_) {
      leaves.push_back(input.detach().requires_grad_(true));
    }
    torch::autograd::variable_list roots, root_gradients;
    {
      const at::AutoGradMode with_gradients(true);
      Tensors outputs = again_(leaves);
      MOESAIC_ASSERT(outputs.size() == gradients.size());
      for (std::size_t i = 0; i < outputs.size(); ++i) {
        if (!gradients[i].defined()) continue;
        roots.push_back(std::move(outputs[i]));
        root_gradients.push_back(std::move(gradients[i]));
      }
    }
    if (!roots.empty()) torch::autograd::backward(roots, root_gradients);
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
