// The experts that a run trains where it trains some of them: what they are, and what leaves the
// others out of the gradient.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "nn/gradient_sink.h"
#include "optim/gradient_transform.h"

namespace moesaic {

/// By layer with experts, in the order of the model; the experts ascend.
using ExpertLists = std::vector<std::vector<std::int64_t>>;

/// Of the parameters with most_experts (config/training_table.h). Shared by what chooses and what
/// uses the choice.
class ChosenExperts {
 public:
  ChosenExperts(const arch::Options& arch, const ParameterSet& parameters);

  const std::vector<std::string>& layers() const { return layers_; }  // "model.layers.3.mlp"
  std::int64_t experts() const { return experts_; }                   // of a layer
  bool are_known() const { return !chosen_.empty(); }
  void set(ExpertLists chosen) { chosen_ = std::move(chosen); }
  const ExpertLists& all() const { return chosen_; }
  /// Whether it is trained: `expert` counts over all ranks.
  bool has(const Parameter& parameter, std::int64_t expert) const;

 private:
  std::vector<std::string> layers_;
  ExpertLists chosen_;
  std::int64_t experts_ = 0;
};

/// Hands `sink` the rows of chosen experts alone: the others cost no gradient of a weight.
std::unique_ptr<GradientSink> chosen_experts_sink(std::unique_ptr<GradientSink> sink,
                                                  std::shared_ptr<const ChosenExperts> chosen);

/// Says which rows of such a gradient the optimizer changes; the others are zero. Local.
std::unique_ptr<GradientTransform> chosen_experts_transform(
    std::shared_ptr<const ChosenExperts> chosen);

}  // namespace moesaic
