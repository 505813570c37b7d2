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

/// Whether a backward has something to do where no input requires a gradient: that of a parameter
/// leaves through the GradientSink, not through the graph.
enum class Reach { kInputsAlone, kBeyond };
inline Reach beyond_if(bool wanted) { return wanted ? Reach::kBeyond : Reach::kInputsAlone; }

/// Records `outputs` = operation(`inputs`). No effect while gradients are off (at::NoGradGuard),
/// and none where backward would have nothing to do: it ends above what is frozen. That must be the
/// same on all ranks. `outputs` must be fresh tensors.
void record(const char* name, const Tensors& inputs, const Tensors& outputs, Backward backward,
            Reach reach = Reach::kInputsAlone, Unused unused = Unused::kZeros);

/// As above, for one output, which is returned.
at::Tensor record(const char* name, const Tensors& inputs, const at::Tensor& output,
                  Backward backward, Reach reach = Reach::kInputsAlone);

}  // namespace moesaic
