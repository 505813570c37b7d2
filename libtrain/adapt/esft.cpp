#include "adapt/esft.h"

#include <algorithm>
#include <string>
#include <utility>

#include "adapt/expert_scores.h"
#include "core/error.h"

namespace moesaic {
namespace {

constexpr const char* kEsftNote = "esft";
constexpr std::string_view kOfExperts = ".experts.";

// "model.layers.3.mlp" of a parameter of its experts.
std::string layer_with_experts(const Parameter& parameter) {
  return parameter.name.substr(0, parameter.name.find(kOfExperts));
}

/// The experts of each layer that are trained; shared by what chooses and what uses them.
class ChosenExperts {
 public:
  ChosenExperts(const arch::Options& arch, const ParameterSet& parameters) {
    for (const Parameter& parameter : parameters) {
      if (parameter.scope != Scope::kExpert) continue;
      if (arch::is_prediction_parameter(arch, parameter.name)) continue;
      const std::string layer = layer_with_experts(parameter);
      if (std::find(layers_.begin(), layers_.end(), layer) == layers_.end())
        layers_.push_back(layer);
      experts_ = parameter.shape[0];
    }
  }

  const std::vector<std::string>& layers() const { return layers_; }  // in the order of the model
  bool are_known() const { return !chosen_.empty(); }
  std::int64_t experts() const { return experts_; }
  /// By layer, ascending.
  void set(std::vector<std::vector<std::int64_t>> chosen) { chosen_ = std::move(chosen); }
  const std::vector<std::vector<std::int64_t>>& all() const { return chosen_; }
  const std::vector<std::int64_t>& of(const Parameter& parameter) const {
    const auto layer = std::find(layers_.begin(), layers_.end(), layer_with_experts(parameter));
    MOESAIC_ASSERT(layer != layers_.end() && are_known());
    return chosen_.at(static_cast<std::size_t>(layer - layers_.begin()));
  }

 private:
  std::vector<std::string> layers_;
  std::vector<std::vector<std::int64_t>> chosen_;
  std::int64_t experts_ = 0;
};

class ExpertChooser : public StepPart {
 public:
  ExpertChooser(EsftSetup setup, std::shared_ptr<ChosenExperts> chosen, const Model& model,
                const Computation& computation, const StepData& data, const RankContext& context)
      : setup_(std::move(setup)),
        chosen_(std::move(chosen)),
        model_(model),
        computation_(computation),
        data_(data),
        context_(context) {}

  void before(const Step&) override {
    if (chosen_->are_known()) return;
    const ExpertScores scores =
        score_experts(setup_.esft, setup_.max_steps, model_, computation_, data_, context_);
    computation_.weights.invalidate();
    MOESAIC_ASSERT(scores.size() == chosen_->layers().size());
    std::vector<std::vector<std::int64_t>> chosen;
    for (const auto& layer : scores) chosen.push_back(fewest_experts(layer, setup_.esft.share));
    chosen_->set(std::move(chosen));
    tell();
  }
  void add_notes(Json& training) const override {
    if (chosen_->are_known()) training[kEsftNote] = chosen_->all();
  }
  void restore(const RankContext&, const Json& training, const LiveState&) override {
    const bool was_known = chosen_->are_known();
    chosen_->set(chosen_in(training));
    if (!was_known) tell();
  }

 private:
  void tell() const {
    for (std::size_t i = 0; i < chosen_->all().size(); ++i) {
      const auto& experts = chosen_->all()[i];
      context_.log.info("esft      {}.experts: {} of {}: {}", chosen_->layers()[i], experts.size(),
                        chosen_->experts(), join(experts, ", "));
    }
  }

  // Error(kCheckpoint) where a checkpoint has no such lists.
  std::vector<std::vector<std::int64_t>> chosen_in(const Json& training) const {
    const Json note = training.value(kEsftNote, Json());
    std::vector<std::vector<std::int64_t>> chosen;
    for (const Json& layer : note.is_array() ? note : Json::array()) {
      auto& experts = chosen.emplace_back();
      for (const Json& expert : layer.is_array() ? layer : Json::array())
        if (expert.is_number_integer()) experts.push_back(expert.get<std::int64_t>());
      const bool fits = !experts.empty() && experts.size() == layer.size() &&
                        std::is_sorted(experts.begin(), experts.end()) && experts.front() >= 0 &&
                        experts.back() < chosen_->experts();
      if (!fits) chosen.pop_back();
    }
    MOESAIC_CHECK(chosen.size() == chosen_->layers().size(), ErrorKind::kCheckpoint,
                  "the checkpoint does not say which experts adapt.esft has chosen");
    return chosen;
  }

  EsftSetup setup_;
  std::shared_ptr<ChosenExperts> chosen_;
  const Model& model_;
  Computation computation_;
  const StepData& data_;
  const RankContext& context_;
};

class OnlyChosenExperts : public GradientTransform {
 public:
  explicit OnlyChosenExperts(std::shared_ptr<const ChosenExperts> chosen)
      : chosen_(std::move(chosen)) {}

  std::string name() const override { return "chosen experts"; }
  void apply(const RankContext&, const Step&, Gradients& gradients, MetricsRow&) override {
    for (GradientEntry& entry : gradients.entries) {
      if (entry.parameter.most_experts > 0) keep_chosen(entry);
    }
  }

 private:
  void keep_chosen(GradientEntry& entry) const {
    const std::vector<std::int64_t>& chosen = chosen_->of(entry.parameter);
    const std::int64_t first = entry.parameter.offset + (entry.rows ? entry.rows->first : 0);
    entry.updated.emplace();
    for (std::int64_t i = 0; i < entry.gradient.size(0); ++i) {
      if (std::binary_search(chosen.begin(), chosen.end(), first + i))
        entry.updated->push_back({i, 1});
      else
        entry.gradient.select(0, i).zero_();
    }
  }

  std::shared_ptr<const ChosenExperts> chosen_;
};

}  // namespace

EsftRun make_esft(const EsftSetup& setup, const ParameterSet& parameters, const Model& model,
                  const Computation& computation, const StepData& data,
                  const RankContext& context) {
  const auto chosen = std::make_shared<ChosenExperts>(setup.arch, parameters);
  return {std::make_unique<ExpertChooser>(setup, chosen, model, computation, data, context),
          std::make_unique<OnlyChosenExperts>(chosen)};
}

}  // namespace moesaic
