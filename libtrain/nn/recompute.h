// Recomputation: an operation of many nodes is recorded as one that keeps its inputs alone;
// backward computes the rest again (Chen et al. 2016, arXiv 1604.06174).
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <optional>

#include "nn/autograd.h"
#include "nn/forward_context.h"
#include "nn/gradient_sink.h"

namespace moesaic {

/// The operation once more: inputs that begin a graph of their own -> outputs in that graph. Must
/// not capture an output of the first run: that would be a cycle.
using Recompute = std::function<Tensors(const Tensors& inputs)>;

/// Records `outputs` = operation(`inputs`), which was computed with gradients off. Backward calls
/// `again` with gradients on and goes through that graph from its outputs, in order. The inputs are
/// floating-point tensors and stay as they are until then; `outputs` must be fresh tensors.
/// `reach`: whether the operation has parameters that want gradients (FirstRun); else backward ends
/// above it where no input has one, and nothing is kept.
void record_recomputed(const char* name, const Tensors& inputs, const Tensors& outputs,
                       Recompute again, Reach reach = Reach::kBeyond);

/// The context of the first run, which learns whether the operation opens a parameter.
class FirstRun {
 public:
  explicit FirstRun(const ForwardContext& context);
  FirstRun(const FirstRun&) = delete;  // the context refers to the sink

  const ForwardContext& context() const { return context_; }
  Reach reach() const { return beyond_if(sink_ && sink_->opened); }

 private:
  struct Sink : public PassingSink {
    using PassingSink::PassingSink;
    void open(const Parameter& parameter) override {
      opened = true;
      PassingSink::open(parameter);
    }
    bool opened = false;
  };

  std::optional<Sink> sink_;  // none where no gradients are wanted
  ForwardContext context_;
};

/// The context of such a second run: the first one has opened the parameters, which are not opened
/// again. Must outlive the backward pass of what was computed with it.
class SecondRun {
 public:
  explicit SecondRun(const ForwardContext& first);
  SecondRun(const SecondRun&) = delete;  // the context refers to the sink

  ForwardContext& context() { return context_; }

 private:
  struct Sink : public PassingSink {
    using PassingSink::PassingSink;
    void open(const Parameter&) override {}
  };

  std::optional<Sink> sink_;  // none where no gradients are wanted
  ForwardContext context_;
};

}  // namespace moesaic
