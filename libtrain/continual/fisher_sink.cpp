#include "continual/fisher_sink.h"

#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>

#include "core/error.h"
#include "nn/example_rows.h"

namespace moesaic {
namespace {

// What one example's gradient is built in: of experts, that of one.
std::int64_t values_of_gradient(const Parameter& parameter) {
  const bool expert = parameter.scope == Scope::kExpert && parameter.tensor.size(0) > 0;
  return parameter.local_numel() / (expert ? parameter.tensor.size(0) : 1);
}

// Pieces that would be gone, to be kept with what stays.
void keep_pieces(const HandOverAgain& again, std::vector<ParameterUse>& whole) {
  again([&whole](const ParameterUse& piece) { whole.push_back(copy_of(piece)); });
}

}  // namespace

FisherSink::FisherSink(const ParameterSet& parameters, const Options& options)
    : parameters_(parameters), options_(options), states_(parameters.size()) {
  std::int64_t most = 0;
  const at::TensorOptions numbers = parameters.master_options().dtype(options.dtype);
  for (const Parameter& parameter : parameters) {
    if (!parameter.trainable) continue;
    State& state = at(parameter);
    state.sum = at::zeros(parameter.tensor.sizes(), numbers);
    if (parameter.scope == Scope::kExpert)
      state.reached = at::zeros({parameter.tensor.size(0)}, at::kLong);
    most = std::max(most, values_of_gradient(parameter));
  }
  gradient_ = at::zeros({most}, numbers);
}

void FisherSink::open(const Parameter& parameter) { ++at(parameter).open; }

void FisherSink::add(const ParameterUse& use) {
  State& state = at(use.parameter);
  if (!use.passing) {
    state.whole.push_back(use);
    return;
  }
  if (state.open > 1 || !state.whole.empty()) return;  // asked for again
  if (!state.stream) {
    ExampleSum sum = into(state.sum);
    sum.gradient = at::zeros_like(state.sum);  // its own: others may be under way
    state.stream.emplace(sum);
  }
  state.stream->add(use);
}

void FisherSink::close(const Parameter& parameter, const HandOverAgain& again) {
  State& state = at(parameter);
  MOESAIC_ASSERT(state.open > 0);
  const bool streamed = state.stream && state.stream->finish();
  if (again && !streamed) state.again.push_back(again);
  if (--state.open == 0) finish(state);
}

void FisherSink::end() {
  for (State& state : states_) {
    if (state.open > 0) finish(state);
    state.open = 0;
  }
}

ExampleSum FisherSink::into(const at::Tensor& sum) const {
  return {.magnitude = options_.magnitude,
          .kernel = options_.matmul,
          .sum = sum,
          .gradient = gradient_.narrow(0, 0, sum.numel()).view(sum.sizes())};
}

void FisherSink::finish(State& state) {
  if (state.reached.defined()) {
    add_groups(state);
  } else if (state.again.empty()) {
    into(state.sum).add(state.whole);
  } else {
    for (std::size_t i = 1; i < state.again.size(); ++i) keep_pieces(state.again[i], state.whole);
    ExampleStream stream(into(state.sum), state.whole);
    state.again[0]([&stream](const ParameterUse& piece) { stream.add(piece); });
    stream.finish();
  }
  state.whole.clear();
  state.again.clear();
}

void FisherSink::add_groups(State& state) {
  MOESAIC_ASSERT(state.again.empty());
  auto* reached = state.reached.mutable_data_ptr<std::int64_t>();
  for (std::int64_t expert = 0; expert < state.sum.size(0); ++expert) {
    std::vector<ParameterUse> own;
    for (const ParameterUse& use : state.whole) own.push_back(use_of_group(use, expert));
    reached[expert] += into(state.sum.select(0, expert)).add(own);
  }
}

void FisherSink::sum_over_ranks(const RankContext& context) {
  for (const Parameter& parameter : parameters_) {
    State& state = at(parameter);
    if (!state.sum.defined()) continue;
    const bool dense = parameter.scope == Scope::kDense;
    const Communicator& group = dense ? context.world : context.expert_data;
    group.all_reduce(state.sum, ReduceOp::kSum, "fisher");
    if (!dense) group.all_reduce(state.reached, ReduceOp::kSum, "fisher: examples");
  }
}

}  // namespace moesaic
