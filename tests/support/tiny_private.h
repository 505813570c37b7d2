// A tiny model whose units' gradients are clipped, on the ranks of a context. Every program of it
// has the same weights.
#pragma once

#include <ATen/ops/tensor.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "data/batch_builder.h"
#include "data/step_data.h"
#include "loss/unit_mean.h"
#include "models/make_model.h"
#include "moe/routing_stats.h"
#include "privacy/clipping_sink.h"
#include "support/tiny_fisher.h"
#include "support/tiny_lora.h"

namespace moesaic::test {

inline constexpr double kPrivateBatch = 5;  // expected units, whatever there are

/// Unit `number`: one to three documents; `id` counts within a step.
inline void add_unit(BatchBuilder& batch, std::int64_t number, std::int64_t id) {
  for (std::int64_t d = 0; d <= number % 3; ++d) add_example(batch, 3 * number + d, id);
}

struct PrivateModel {
  struct Options {
    ClippingRule rule = {Clipping::kNone, 0};
    BlockPass pass = keep_activations;
    TinyAdapters beside = {};
    MoeTraining moe = {};
    std::uint64_t weights = 7;  // their seed
    at::ScalarType dtype = at::kDouble;
    RoutingStats* routing = nullptr;  // adds the choices of this rank to it
    bool batch_balance = false;       // a term that mixes the units of a batch
    bool norms_of_this_rank = false;  // clips by what this rank alone knows
  };

  PrivateModel(const RankContext& ranks, const arch::Options& arch, const Options& options)
      : context(ranks),
        options_(options),
        parameters(
            parameters_of(options.beside.make ? options.beside.table : arch::parameter_table(arch),
                          ranks, options.weights, options.dtype)),
        adapters_(options.beside.make ? options.beside.make(parameters) : nullptr),
        model_(make_model({.arch = arch,
                           .block_pass = options.pass,
                           .moe = options.moe,
                           .adapters = adapters_.get()},
                          parameters, ranks)),
        computation_{
            .precision = Precision::named(options.dtype == at::kDouble ? "float64" : "float32"),
            .world = ranks.world} {
    auto sum = std::make_unique<AccumulatingSink>(parameters, ranks, MatmulKernel::kMkl);
    gradients_ = sum->gradients();
    RankContext of_norms = ranks;
    if (options.norms_of_this_rank) of_norms.expert = Communicator::single();
    sink_ = std::make_unique<ClippingSink>(
        parameters, of_norms,
        ClippingSink::Options{
            .dtype = options.dtype, .divisor = kPrivateBatch, .rule = options.rule},
        std::move(sum));
  }

  /// The step of the units `numbers`. -> the sum over them, by position in the set; undefined where
  /// it is frozen. Collective over world.
  std::vector<at::Tensor> sums(const std::vector<std::int64_t>& numbers,
                               std::int64_t micro_batch_size) {
    begin(numbers.size());
    const auto all = std::ssize(numbers);
    const std::int64_t ranks = context.world.size(), of_round = ranks * micro_batch_size;
    const std::int64_t rounds = std::max<std::int64_t>(1, (all + of_round - 1) / of_round);
    for (std::int64_t r = 0; r < rounds; ++r) {
      const std::int64_t first = (r * ranks + context.rank()) * micro_batch_size;
      BatchBuilder builder;
      for (std::int64_t i = first; i < std::min(all, first + micro_batch_size); ++i)
        add_unit(builder, numbers[static_cast<std::size_t>(i)], i);
      const Batch batch = first < all ? builder.build() : empty_batch();
      round({.index = r, .last = r + 1 == rounds}, batch,
            options_.norms_of_this_rank ? batch_of(numbers) : batch);
    }
    return summed();
  }

  /// Those of the units that `data` has in step `step`, of one process.
  std::vector<at::Tensor> sums_of(const StepData& data, std::int64_t step) {
    constexpr std::size_t kMostUnits = 1000;
    begin(kMostUnits);
    const std::int64_t rounds = data.size(step).micro_batches;
    if (rounds == 0) round({.index = 0, .last = true}, empty_batch(), empty_batch());
    for (std::int64_t r = 0; r < rounds; ++r) {
      const Batch batch = data.micro_batch(step, r);
      round({.index = r, .last = r + 1 == rounds}, batch, batch);
    }
    return summed();
  }

 private:
  void begin(std::size_t units) {
    gradients_.clear();
    norms_.assign(units, 0.0);
  }

  void round(const Round& round, const Batch& batch, const Batch& expected) {
    const at::AutoGradMode with_gradients(true);
    sink_->begin(round);
    sink_->expect(expected);
    ForwardContext forward = computation_.forward(batch);
    backward(forward);
    sink_->end();
    note_norms();
  }

  std::vector<at::Tensor> summed() const {
    std::vector<at::Tensor> sums(parameters.size());
    for (const GradientEntry& entry : gradients_.entries)
      sums[static_cast<std::size_t>(entry.parameter.index)] = entry.gradient.mul(kPrivateBatch);
    return sums;
  }

 public:
  /// Of the units of the last step, before clipping. Collective over world.
  std::vector<double> norms() const {
    at::Tensor all = at::tensor(norms_, at::kDouble);
    context.world.all_reduce(all, ReduceOp::kMax, "test: norms");
    const auto* first = all.const_data_ptr<double>();
    return {first, first + all.numel()};
  }

  /// Of what has the shape of the parameters of this rank. Collective over the expert group.
  double norm_of(const std::vector<at::Tensor>& values) const {
    double dense = 0, experts = 0;
    for (const Parameter& parameter : parameters) {
      const at::Tensor& x = values[static_cast<std::size_t>(parameter.index)];
      if (!x.defined()) continue;
      (parameter.scope == Scope::kDense ? dense : experts) +=
          x.to(at::kDouble).square().sum().item<double>();
    }
    return std::sqrt(dense + context.expert.all_reduce(experts, ReduceOp::kSum, "test: norm"));
  }

  const RankContext& context;

 private:
  Options options_;

 public:
  ParameterSet parameters;

 private:
  static Batch batch_of(const std::vector<std::int64_t>& numbers) {
    BatchBuilder builder;
    for (std::size_t i = 0; i < numbers.size(); ++i)
      add_unit(builder, numbers[i], static_cast<std::int64_t>(i));
    return builder.build();
  }

  void backward(ForwardContext& forward) {
    forward.sink = sink_.get();
    forward.training = true;
    const ModelOutput output = model_->forward(forward);
    if (options_.routing != nullptr) options_.routing->add(output.routers);
    const StepView view{forward, output, model_->head(), {.micro_batches = 1}};
    const UnitMean mean{kPrivateBatch};
    std::vector<const Parameter*> in_use;
    for (const Parameter* parameter : view.head.parameters())
      if (forward.open(*parameter)) in_use.push_back(parameter);
    at::Tensor total = CrossEntropy(mean).evaluate(view).loss;
    if (!output.ahead_TD.empty())
      total = total.add(FurtherCrossEntropy(0.4, mean).evaluate(view).loss);
    if (!output.routers.empty()) {
      total = total.add(SequenceBalance(0.5, mean).evaluate(view).loss)
                  .add(RouterZ(0.1, mean).evaluate(view).loss)
                  .add(RouterEntropy(0.1, mean).evaluate(view).loss);
      if (options_.batch_balance) total = total.add(SwitchBalance(2.0).evaluate(view).loss);
    }
    for (const Parameter* parameter : in_use) sink_->close(*parameter, {});
    total.backward();
    sink_->catch_up();
  }

  void note_norms() {
    const auto* norm = sink_->norms().const_data_ptr<double>();
    for (std::int64_t u = 0; u < sink_->norms().numel(); ++u)
      norms_[static_cast<std::size_t>(u)] = std::max(norms_[static_cast<std::size_t>(u)], norm[u]);
  }

  std::unique_ptr<AdapterFactory> adapters_;
  std::unique_ptr<Model> model_;
  Computation computation_;
  Gradients gradients_;
  std::unique_ptr<ClippingSink> sink_;
  std::vector<double> norms_;
};

inline std::vector<at::Tensor> difference(const std::vector<at::Tensor>& a,
                                          const std::vector<at::Tensor>& b) {
  std::vector<at::Tensor> d(a.size());
  for (std::size_t i = 0; i < a.size(); ++i)
    if (a[i].defined()) d[i] = a[i].sub(b[i]);
  return d;
}

inline std::vector<std::int64_t> numbers_below(std::int64_t count) {
  std::vector<std::int64_t> numbers;
  for (std::int64_t n = 0; n < count; ++n) numbers.push_back(n);
  return numbers;
}

}  // namespace moesaic::test
