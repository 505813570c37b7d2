#include "models/block_pass.h"

#include <ATen/core/grad_mode.h>

#include <memory>

#include "models/transformer.h"
#include "nn/recompute.h"

namespace moesaic {
namespace {

// What a block computes that is in the graph: its result, then what its router leaves to the
// losses.
Tensors outputs_of(const at::Tensor& y_TD, const std::vector<RouterRecord>& records) {
  Tensors outputs = {y_TD};
  for (const RouterRecord& record : records) {
    outputs.push_back(record.logits_TE);
    outputs.push_back(record.probabilities_TE);
  }
  return outputs;
}

}  // namespace

at::Tensor keep_activations(const Block& block, const ForwardContext& context,
                            const at::Tensor& x_TD, const RotaryTable& rotary,
                            std::vector<RouterRecord>& records) {
  return block.forward(context, x_TD, rotary, records);
}

at::Tensor recompute_activations(const Block& block, const ForwardContext& context,
                                 const at::Tensor& x_TD, const RotaryTable& rotary,
                                 std::vector<RouterRecord>& records) {
  std::vector<RouterRecord> own;
  at::Tensor y_TD;
  const FirstRun first(context);
  {
    const at::NoGradGuard no_gradients;
    y_TD = block.forward(first.context(), x_TD, rotary, own);
  }
  const auto second = std::make_shared<SecondRun>(context);
  if (!own.empty()) second->context().chosen_TK = own.front().selected_TK;
  record_recomputed(
      "block", {x_TD}, outputs_of(y_TD, own),
      [second, &block, rotary](const Tensors& inputs) {
        std::vector<RouterRecord> again;
        const at::Tensor z_TD = block.forward(second->context(), inputs[0], rotary, again);
        return outputs_of(z_TD, again);
      },
      first.reach());
  records.insert(records.end(), own.begin(), own.end());
  return y_TD;
}

}  // namespace moesaic
