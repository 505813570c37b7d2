// ForwardContext: what a forward pass needs and a module does not own. It must outlive the backward
// pass of what was computed with it.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

#include "comm/communicator.h"
#include "data/batch.h"
#include "nn/gradient_sink.h"
#include "nn/kv_cache.h"
#include "nn/matmul.h"
#include "nn/router_probe.h"

namespace moesaic {

/// Precision of a run. Masters, router, softmax, norms and loss: float32 (float64 in float64 runs).
struct Precision {
  at::ScalarType master = at::kFloat;   // parameters, residual stream, loss
  at::ScalarType compute = at::kFloat;  // linear layers, experts, attention

  /// float64 | float32 | bfloat16
  static Precision named(const std::string& name);
};

/// Copies of weights in the compute dtype, made at first use after each change of the weights; or,
/// where memory counts (inference), made for each use and not kept.
class WeightCopies {
 public:
  explicit WeightCopies(bool keep = true) : keep_(keep) {}

  /// `parameter` as `dtype`; the master itself when it has that dtype.
  at::Tensor get(const Parameter& parameter, at::ScalarType dtype);
  /// get() would convert all of it and keep nothing: large weights are converted in parts instead.
  bool converts(const Parameter& parameter, at::ScalarType dtype) const {
    return !keep_ && parameter.tensor.scalar_type() != dtype;
  }
  /// The masters have changed.
  void invalidate() { copies_.clear(); }

 private:
  bool keep_;
  std::vector<at::Tensor> copies_;  // by parameter index
};

struct ForwardContext {
  const Batch& batch;
  Precision precision;
  MatmulKernel matmul = MatmulKernel::kMkl;
  WeightCopies& weights;
  GradientSink* sink = nullptr;  // nullptr: no gradients are wanted
  Communicator world;            // for progress() between products
  KvCache* cache = nullptr;      // generation: the batch continues the sequence in it
  at::Tensor chosen_TK = {};     // recomputation: the experts that the first run of a block chose
  std::int64_t step = 0;         // of training, for random numbers
  RouterProbe* probe = nullptr;  // looks at the routers' gradients

  /// What training alone does (jitter, capacity, sampling) is done.
  bool training() const { return sink != nullptr; }

  void expect(const Parameter& parameter) const {
    if (sink != nullptr) sink->expect(parameter);
  }
  /// Hands a use to the sink, where gradients are wanted.
  void accumulate(const ParameterUse& use) const {
    if (sink == nullptr) return;
    sink->accumulate(use);
    world.progress();
  }
};

}  // namespace moesaic
