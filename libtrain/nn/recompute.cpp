#include "nn/recompute.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/zeros.h>

#include <utility>

#include "core/error.h"

namespace moesaic {
namespace {

// Runs the operation on `leaves`. Backward from the result gives each output its gradient, and so
// lets go of it once it is used, as it does of the outputs: both are as large as the inputs. An
// output without a gradient is left out, as it would be in the graph that keeps everything: zeros
// in its place could change the sign of a zero.
at::Tensor root_of(const char* name, const Recompute& again, const Tensors& leaves,
                   Tensors gradients) {
  const at::AutoGradMode with_gradients(true);
  const Tensors outputs = again(leaves);
  MOESAIC_ASSERT(outputs.size() == gradients.size());
  Tensors used, given;
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    if (!gradients[i].defined()) continue;
    used.push_back(outputs[i]);
    given.push_back(std::move(gradients[i]));
  }
  return record(
      name, used, at::zeros({}),
      [given = std::move(given)](const Tensors&) mutable { return std::move(given); },
      Reach::kBeyond);
}

}  // namespace

void record_recomputed(const char* name, const Tensors& inputs, const Tensors& outputs,
                       Recompute again, Reach reach) {
  Tensors kept;
  for (const at::Tensor& input : inputs) kept.push_back(input.detach());
  record(
      name, inputs, outputs,
      [name, kept = std::move(kept), again = std::move(again)](Tensors gradients) {
        Tensors leaves, result;
        for (const at::Tensor& input : kept) leaves.push_back(input.detach().requires_grad_(true));
        root_of(name, again, leaves, std::move(gradients)).backward();
        for (const at::Tensor& leaf : leaves) result.push_back(leaf.grad());
        return result;
      },
      reach, Unused::kUndefined);
}

FirstRun::FirstRun(const ForwardContext& context) : context_(context) {
  if (context.sink == nullptr) return;
  sink_.emplace(*context.sink);
  context_.sink = &*sink_;
}

SecondRun::SecondRun(const ForwardContext& first) : context_(first) {
  if (first.sink == nullptr) return;
  sink_.emplace(*first.sink);
  context_.sink = &*sink_;
}

}  // namespace moesaic
