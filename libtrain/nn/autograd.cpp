#include "nn/autograd.h"

#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/functions/utils.h>

#include <algorithm>
#include <memory>
#include <string>
#include <utility>

namespace moesaic {
namespace {

class RecordedNode : public torch::autograd::Node {
 public:
  RecordedNode(const char* name, Backward backward, Unused unused)
      : name_(name), backward_(std::move(backward)), unused_(unused) {}

  torch::autograd::variable_list apply(torch::autograd::variable_list&& gradients) override {
    for (std::size_t i = 0; unused_ == Unused::kZeros && i < gradients.size(); ++i) {
      if (!gradients[i].defined()) {
        gradients[i] = input_metadata(static_cast<std::uint32_t>(i)).zeros_like();
      }
    }
    return backward_(std::move(gradients));
  }

  std::string name() const override { return name_; }
  void release_variables() override { backward_ = nullptr; }

 private:
  const char* name_;
  Backward backward_;
  Unused unused_;
};

}  // namespace

void record(const char* name, const Tensors& inputs, const Tensors& outputs, Backward backward,
            Reach reach, Unused unused) {
  if (!at::GradMode::is_enabled()) return;
  const bool asked = std::any_of(inputs.begin(), inputs.end(), [](const at::Tensor& input) {
    return input.defined() && input.requires_grad();
  });
  if (!asked && reach == Reach::kInputsAlone) return;
  std::shared_ptr<RecordedNode> node(new RecordedNode(name, std::move(backward), unused),
                                     torch::autograd::deleteNode);
  node->set_next_edges(torch::autograd::collect_next_edges(inputs));
  torch::autograd::set_history(outputs, node);
}

at::Tensor record(const char* name, const Tensors& inputs, const at::Tensor& output,
                  Backward backward, Reach reach) {
  record(name, inputs, Tensors{output}, std::move(backward), reach);
  return output;
}

}  // namespace moesaic
