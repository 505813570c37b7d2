// RoutedTokens: how many tokens of a silo's round were routed to each expert, by which its change
// of the expert weighs (aggregator.experts: routed_tokens). A part of the silo's steps.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "loss/step_part.h"
#include "moe/routing_stats.h"
#include "parallel/parameter_set.h"

namespace moesaic {

class RoutedTokens : public StepPart {
 public:
  void after_forward(const ModelOutput& output) override { stats_.add(output.routers); }

  /// Since the last call, to each expert, by what stands before ".experts." in its parameters'
  /// names. Collective over the silo's world.
  std::map<std::string, std::vector<double>> take(const RankContext& context,
                                                  const ParameterSet& parameters);

 private:
  RoutingStats stats_;
};

}  // namespace moesaic
