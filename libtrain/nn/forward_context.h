// ForwardContext: what a forward pass needs and a module does not own. It must outlive the backward
// pass of what was computed with it.
#pragma once

#include <ATen/core/Tensor.h>

#include <span>
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

/// Copies of weights in the compute dtype. Those of trained weights are made at first use after
/// each change and kept; those of frozen ones, quantised or not, and all where memory counts
/// (inference), are made for each use.
class WeightCopies {
 public:
  explicit WeightCopies(bool keep = true) : keep_(keep) {}

  /// `parameter` as `dtype`; the master itself when it has that dtype. Not quantised experts, of
  /// which a product takes one after the other (nn/grouped_product.h).
  at::Tensor get(const Parameter& parameter, at::ScalarType dtype);
  /// get() would convert all of it and keep nothing: large weights are converted in parts instead.
  bool converts(const Parameter& parameter, at::ScalarType dtype) const {
    return !keeps(parameter) && parameter.tensor.scalar_type() != dtype;
  }
  /// The masters have changed.
  void invalidate() { copies_.clear(); }

 private:
  bool keeps(const Parameter& parameter) const { return keep_ && parameter.trainable; }

  bool keep_;
  std::vector<at::Tensor> copies_;  // by parameter index
};

struct ForwardContext {
  const Batch& batch;
  Precision precision;
  MatmulKernel matmul = MatmulKernel::kMkl;
  WeightCopies& weights;
  Communicator world;            // for progress() between products
  GradientSink* sink = nullptr;  // nullptr: no gradients are wanted
  bool training = false;         // what training alone does (jitter, capacity, sampling) is done
  bool predicts_ahead = false;   // the layers for multi-token prediction run, as in training
  std::int64_t step = 0;         // of training, for random numbers
  std::span<KvCache* const> caches = {};  // generation: span i goes on with the sequence in i
  at::Tensor chosen_TK = {};     // recomputation: the experts that the first run of a block chose
  RouterProbe* probe = nullptr;  // looks at the routers' gradients

  /// Whether the gradient of `parameter` is wanted; if so, an operation that uses it begins.
  bool open(const Parameter& parameter) const {
    const bool wanted = sink != nullptr && sink->wants(parameter);
    if (wanted) sink->open(parameter);
    return wanted;
  }
  /// Hands over the one piece of an operation that was opened.
  void hand_over(const ParameterUse& use) const {
    sink->add(use);
    sink->close(use.parameter);
    world.progress();
  }
};

/// How a rank computes, the same for all its forward passes.
struct Computation {
  Precision precision;
  MatmulKernel matmul = MatmulKernel::kMkl;
  Communicator world;
  WeightCopies weights = WeightCopies();

  /// A pass over `batch`, which must outlive it, without gradients unless a sink is added.
  ForwardContext forward(const Batch& batch) {
    return {.batch = batch,
            .precision = precision,
            .matmul = matmul,
            .weights = weights,
            .world = world};
  }
};

}  // namespace moesaic
