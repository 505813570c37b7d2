#include "adapt/chosen_experts.h"

#include <ATen/ops/cat.h>

#include <algorithm>
#include <utility>

#include "core/error.h"

namespace moesaic {
namespace {

// "model.layers.3.mlp" of a parameter of its experts.
std::string layer_with_experts(const Parameter& parameter) {
  return parameter.name.substr(0, parameter.name.find(".experts."));
}

class ChosenExpertsSink : public PassingSink {
 public:
  ChosenExpertsSink(std::unique_ptr<GradientSink> sink, std::shared_ptr<const ChosenExperts> chosen)
      : PassingSink(*sink), sink_(std::move(sink)), chosen_(std::move(chosen)) {}

  void add(const ParameterUse& use) override {
    if (use.parameter.most_experts == 0) return next_.add(use);
    MOESAIC_ASSERT(use.kind == ParameterUse::Kind::kGrouped);
    add_chosen(use);
  }

 private:
  // The groups of the other experts become empty.
  void add_chosen(const ParameterUse& use) {
    const std::vector<std::int64_t>& begin = use.offsets.host();
    std::vector<std::int64_t> offsets = {0};
    std::vector<RowRange> kept;
    for (std::size_t e = 0; e + 1 < begin.size(); ++e) {
      const std::int64_t rows = begin[e + 1] - begin[e];
      const std::int64_t expert = use.parameter.offset + static_cast<std::int64_t>(e);
      const bool counts = rows > 0 && chosen_->has(use.parameter, expert);
      if (counts) kept.push_back({begin[e], rows});
      offsets.push_back(offsets.back() + (counts ? rows : 0));
    }
    if (kept.empty()) return;
    const auto rows_of = [&kept](const at::Tensor& all) {
      std::vector<at::Tensor> pieces;
      for (const RowRange& range : kept) pieces.push_back(all.narrow(0, range.first, range.count));
      return at::cat(pieces);
    };
    ParameterUse part = use;
    part.input = rows_of(use.input);
    part.output_gradient = rows_of(use.output_gradient);
    part.example_R = rows_of(use.example_R);
    if (use.weight_R.defined()) part.weight_R = rows_of(use.weight_R);
    part.offsets = GroupOffsets(std::move(offsets));
    next_.add(part);
  }

  std::unique_ptr<GradientSink> sink_;
  std::shared_ptr<const ChosenExperts> chosen_;
};

class ChosenExpertsTransform : public GradientTransform {
 public:
  explicit ChosenExpertsTransform(std::shared_ptr<const ChosenExperts> chosen)
      : chosen_(std::move(chosen)) {}

  std::string name() const override { return "chosen experts"; }
  void apply(const RankContext&, const Step&, Gradients& gradients, MetricsRow&) override {
    for (GradientEntry& entry : gradients.entries) {
      if (entry.parameter.most_experts == 0) continue;
      const std::int64_t first = entry.parameter.offset + (entry.rows ? entry.rows->first : 0);
      entry.updated.emplace();
      for (std::int64_t i = 0; i < entry.gradient.size(0); ++i)
        if (chosen_->has(entry.parameter, first + i)) entry.updated->push_back({i, 1});
    }
  }

 private:
  std::shared_ptr<const ChosenExperts> chosen_;
};

}  // namespace

ChosenExperts::ChosenExperts(const arch::Options& arch, const ParameterSet& parameters) {
  for (const Parameter& parameter : parameters) {
    if (parameter.scope != Scope::kExpert) continue;
    if (arch::is_prediction_parameter(arch, parameter.name)) continue;
    const std::string layer = layer_with_experts(parameter);
    if (std::find(layers_.begin(), layers_.end(), layer) == layers_.end()) layers_.push_back(layer);
    experts_ = parameter.shape[0];
  }
}

bool ChosenExperts::has(const Parameter& parameter, std::int64_t expert) const {
  const auto layer = std::find(layers_.begin(), layers_.end(), layer_with_experts(parameter));
  MOESAIC_ASSERT(layer != layers_.end() && are_known());
  const auto& chosen = chosen_.at(static_cast<std::size_t>(layer - layers_.begin()));
  return std::binary_search(chosen.begin(), chosen.end(), expert);
}

std::unique_ptr<GradientSink> chosen_experts_sink(std::unique_ptr<GradientSink> sink,
                                                  std::shared_ptr<const ChosenExperts> chosen) {
  return std::make_unique<ChosenExpertsSink>(std::move(sink), std::move(chosen));
}

std::unique_ptr<GradientTransform> chosen_experts_transform(
    std::shared_ptr<const ChosenExperts> chosen) {
  return std::make_unique<ChosenExpertsTransform>(std::move(chosen));
}

}  // namespace moesaic
