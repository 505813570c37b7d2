#include "federated/control_variates.h"

#include <ATen/ops/zeros.h>

#include <algorithm>
#include <span>

#include "core/error.h"
#include "federated/doubles.h"
#include "store/hub_names.h"

namespace moesaic {
namespace {

/// `into` becomes the values of the server's control of `name` from number `first` on.
void take_control(const aggregate::ServerState& server, const std::string& name, std::size_t first,
                  std::span<double> into) {
  const auto found = server.find("control/" + name);
  if (found == server.end()) return std::fill(into.begin(), into.end(), 0.0);
  MOESAIC_ASSERT(first + into.size() <= found->second.size());
  std::copy_n(found->second.begin() + static_cast<std::ptrdiff_t>(first), into.size(),
              into.begin());
}

}  // namespace

ControlVariates::ControlVariates(const ParameterSet& parameters, const RoundModel& model)
    : place_of_(parameters.size()) {
  for (const RoundModel::Entry& entry : model.shared()) {
    const Parameter& parameter = parameters[entry.index];
    if (parameter.learning_rate_ratio != 1) {
      throw Error(ErrorKind::kRecipe,
                  format("{} is trained at {} times the learning rate, and scaffold takes one for "
                         "all parameters",
                         parameter.name, parameter.learning_rate_ratio),
                  "leave out optimizer.groups and adapt.lora.lora_plus_ratio, or take another "
                  "federated.aggregator.type");
    }
    const auto zeros = [&] { return at::zeros(entry.tensor.sizes(), at::kDouble); };
    of_.push_back({&parameter, zeros(), zeros()});
    place_of_[entry.index] = of_.size();
  }
}

void ControlVariates::apply(const RankContext& /*context*/, const Step& /*step*/,
                            Gradients& gradients, MetricsRow& /*report*/) {
  for (GradientEntry& entry : gradients.entries) {
    const std::size_t place = place_of_[static_cast<std::size_t>(entry.parameter.index)];
    if (place == 0 || entry.gradient.numel() == 0) continue;
    const Of& of = of_[place - 1];
    const at::Tensor correction =
        entry.rows_of(of.server.sub(of.silo)).to(entry.gradient.options());
    entry.gradient.add_(correction, 1 / gradients.scale);
  }
}

StateDict ControlVariates::state() const {
  StateDict state;
  for (const Of& of : of_) {
    state.push_back(entry_like(*of.parameter, "control", of.silo));
    state.back().exact = true;
  }
  return state;
}

void ControlVariates::begin_round(const aggregate::ServerState& server) {
  for (const Of& of : of_) {
    const Parameter& parameter = *of.parameter;
    const std::span<double> here = doubles_of(of.server);
    const bool rows = !parameter.shape.empty() && of.server.size(0) > 0;
    const std::size_t row = rows ? here.size() / static_cast<std::size_t>(of.server.size(0)) : 0;
    const auto offset = static_cast<std::size_t>(parameter.offset);
    if (!rows || parameter.scope != Scope::kExpert ||
        !server.contains("control/" + hub_name(parameter.name, parameter.offset))) {
      take_control(server, parameter.name, offset * row, here);
      continue;
    }
    for (std::int64_t e = 0; e < of.server.size(0); ++e)
      take_control(server, hub_name(parameter.name, parameter.offset + e), 0,
                   here.subspan(static_cast<std::size_t>(e) * row, row));
  }
}

void ControlVariates::end_round(const std::vector<at::Tensor>& change, double rate_sum) {
  if (rate_sum == 0) return;
  for (std::size_t i = 0; i < of_.size(); ++i) {
    const at::Tensor values = change.at(i).to(at::kDouble).contiguous();
    aggregate::move_silo_control(doubles_of(of_[i].server), doubles_of(values), rate_sum,
                                 doubles_of(of_[i].silo));
  }
}

}  // namespace moesaic
