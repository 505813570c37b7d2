#include "privacy/clipping_sink.h"

#include <ATen/ops/_unique.h>
#include <ATen/ops/zeros.h>

#include <algorithm>

#include "comm/trace_span.h"
#include "core/error.h"

namespace moesaic {
namespace {

// What one unit's gradient is built in: of experts, that of one.
std::int64_t values_of_unit(const Parameter& parameter) {
  const bool expert = parameter.scope == Scope::kExpert && parameter.tensor.size(0) > 0;
  return parameter.local_numel() / (expert ? parameter.tensor.size(0) : 1);
}

// Pieces that would be gone, to be kept with what stays.
void keep_passing(const HandOverAgain& again, std::vector<ParameterUse>& whole) {
  again([&whole](const ParameterUse& piece) { whole.push_back(copy_of(piece)); });
}

ParameterUse weighted(const ParameterUse& use, const at::Tensor& factor_U) {
  ParameterUse own = use;
  own.weight_R = factor_U.index_select(0, use.example_R);
  return own;
}

}  // namespace

ClippingSink::ClippingSink(const ParameterSet& parameters, const RankContext& context,
                           const Options& options, std::unique_ptr<GradientSink> sink)
    : parameters_(parameters),
      expert_(context.expert),
      options_(options),
      groups_(ClippingGroups::of(parameters, options.rule.clipping)),
      sink_(std::move(sink)),
      states_(parameters.size()) {
  std::int64_t most = 0;
  for (const Parameter& parameter : parameters) {
    if (parameter.trainable) most = std::max(most, values_of_unit(parameter));
  }
  gradient_ = at::zeros({most}, at::TensorOptions(options.dtype).device(context.device));
}

void ClippingSink::begin(const Round& round) {
  if (round.index == 0) units_ = units_below_ = 0;
  own_.clear();
  sink_->begin(round);
}

void ClippingSink::expect(const Batch& batch) {
  if (batch.tokens() == 0) return;
  const auto [ids, inverse] = at::_unique(batch.example_id_T.cpu());
  const at::Tensor host = ids.contiguous();
  const auto* first = host.const_data_ptr<std::int64_t>();
  own_.assign(first, first + host.numel());
}

void ClippingSink::open(const Parameter& parameter) { ++at(parameter).open; }

void ClippingSink::add(const ParameterUse& use) {
  State& state = at(use.parameter);
  if (!use.passing)
    state.whole.push_back(use);
  else if (state.open == 1 && state.whole.empty() && state.again.empty())  // no other use so far
    stream_of(use.parameter).add(use);
}

void ClippingSink::close(const Parameter& parameter, const HandOverAgain& again) {
  State& state = at(parameter);
  MOESAIC_ASSERT(state.open > 0);
  --state.open;
  if (again) state.again.push_back(again);
  if (state.stream) state.stream->finish();
  state.stream.reset();
}

UnitNormStream& ClippingSink::stream_of(const Parameter& parameter) {
  State& state = at(parameter);
  if (!state.stream) {
    state.streamed.assign(static_cast<std::size_t>(own_units()), 0.0);
    const at::Tensor gradient =  // its own: others may be under way
        at::zeros(parameter.tensor.sizes(), gradient_.options());
    state.stream = std::make_unique<UnitNormStream>(
        UnitNorms{options_.matmul, gradient, state.streamed});
  }
  return *state.stream;
}

void ClippingSink::end() {
  const Span span("clipping");
  const at::Tensor square_UG = squared_norms();
  const at::Tensor factor_UG = options_.rule.factors(square_UG);
  norm_U_ = square_UG.sum(1).sqrt();
  count_units();
  // In the order in which backward completes them, so that reductions start early.
  for (std::size_t i = parameters_.size(); i-- > 0;) {
    const Parameter& parameter = parameters_[i];
    if (parameter.trainable)
      hand_on(parameter,
              factor_UG.select(1, groups_.of_parameter[i]).to(parameter.tensor.device()));
  }
  sink_->end();
}

std::int64_t ClippingSink::own_units() const {
  return own_.empty() ? 0 : *std::max_element(own_.begin(), own_.end()) + 1;
}

at::Tensor ClippingSink::squared_norms() {
  const auto units = static_cast<std::int64_t>(
      expert_.all_reduce(static_cast<double>(own_units()), ReduceOp::kMax, "clipping: units"));
  at::Tensor square_GU = at::zeros({groups_.count, units}, at::kDouble);
  for (const Parameter& parameter : parameters_) {
    State& state = at(parameter);
    if (state.whole.empty() && state.again.empty()) continue;
    SquaredNorms squares(static_cast<std::size_t>(units), 0.0);
    add_norms(parameter, squares);
    const auto group = groups_.of_parameter[static_cast<std::size_t>(parameter.index)];
    auto* sum = square_GU.mutable_data_ptr<double>() + group * units;
    for (std::size_t u = 0; u < squares.size(); ++u) sum[u] += squares[u];
  }
  expert_.all_reduce(square_GU, ReduceOp::kSum, "clipping: norms");
  return square_GU.mul_(options_.divisor * options_.divisor).t();
}

void ClippingSink::add_norms(const Parameter& parameter, SquaredNorms& squares) {
  State& state = at(parameter);
  if (!state.streamed.empty() && state.again.size() == 1 && state.whole.empty()) {
    std::copy(state.streamed.begin(), state.streamed.end(), squares.begin());
    return;
  }
  const bool expert = parameter.scope == Scope::kExpert;
  const auto sizes = expert ? parameter.tensor.sizes().slice(1) : parameter.tensor.sizes();
  const UnitNorms norms{options_.matmul,
                        gradient_.narrow(0, 0, values_of_unit(parameter)).view(sizes), squares};
  for (std::size_t i = 1; i < state.again.size(); ++i) keep_passing(state.again[i], state.whole);
  if (expert) {
    MOESAIC_ASSERT(state.again.empty());
    for (std::int64_t e = 0; e < parameter.tensor.size(0); ++e) {
      std::vector<ParameterUse> of_expert;
      for (const ParameterUse& use : state.whole) of_expert.push_back(use_of_group(use, e));
      norms.add(of_expert);
    }
  } else if (state.again.empty()) {
    norms.add(state.whole);
  } else {
    UnitNormStream stream(norms, state.whole);
    state.again[0]([&stream](const ParameterUse& piece) { stream.add(piece); });
    stream.finish();
  }
}

void ClippingSink::count_units() {
  const auto* norm = norm_U_.const_data_ptr<double>();
  units_ += std::ssize(own_);
  units_below_ += std::count_if(own_.begin(), own_.end(), [&](std::int64_t unit) {
    return norm[unit] <= options_.rule.clip_norm;
  });
}

void ClippingSink::hand_on(const Parameter& parameter, const at::Tensor& factor_U) {
  State& state = at(parameter);
  sink_->open(parameter);
  for (const ParameterUse& use : state.whole) sink_->add(weighted(use, factor_U));
  // Those after the first were kept.
  if (!state.again.empty()) {
    state.again[0]([&](const ParameterUse& piece) { sink_->add(weighted(piece, factor_U)); });
  }
  sink_->close(parameter, {});
  state = {};
}

}  // namespace moesaic
