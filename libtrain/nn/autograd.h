// Recording of our own operations in the LibTorch graph. An operation computes its outputs, then
// records one node whose backward is a closure: a source file needs no autograd header but this
// one.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <vector>

namespace moesaic {

using Tensors = std::vector<at::Tensor>;

/// Gradients of the outputs, which are its own to let go of -> gradients of the inputs, in order;
/// an undefined tensor where there is none. Must not capture an output of the operation: that would
/// be a cycle.
using Backward = std::function<Tensors(Tensors output_gradients)>;

/// What a backward gets for an output that was not used.
enum class Unused { kZeros, kUndefined };

/// Records `outputs` = operation(`inputs`). No effect while gradients are off (at::NoGradGuard).
/// The node exists even when no input requires a gradient: what is recorded must not differ between
/// ranks, and the gradient of a parameter leaves through the GradientSink, not through the graph.
/// `outputs` must be fresh tensors.
void record(const char* name, const Tensors& inputs, const Tensors& outputs, Backward backward,
            Unused unused = Unused::kZeros);

/// As above, for one output, which is returned.
at::Tensor record(const char* name, const Tensors& inputs, const at::Tensor& output,
                  Backward backward);

}  // namespace moesaic
