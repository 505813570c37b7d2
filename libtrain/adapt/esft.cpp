#include "adapt/esft.h"

#include <algorithm>
#include <utility>

#include "adapt/chosen_experts.h"
#include "adapt/expert_scores.h"
#include "core/error.h"

namespace moesaic {
namespace {

constexpr const char* kEsftNote = "esft";

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
    ExpertLists chosen;
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
  ExpertLists chosen_in(const Json& training) const {
    const Json note = training.value(kEsftNote, Json());
    ExpertLists chosen;
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

}  // namespace

EsftRun make_esft(const EsftSetup& setup, const ParameterSet& parameters, const Model& model,
                  const Computation& computation, const StepData& data, const RankContext& context,
                  std::unique_ptr<GradientSink> sink) {
  const auto chosen = std::make_shared<ChosenExperts>(setup.arch, parameters);
  return {std::make_unique<ExpertChooser>(setup, chosen, model, computation, data, context),
          chosen_experts_sink(std::move(sink), chosen), chosen_experts_transform(chosen)};
}

}  // namespace moesaic
