#include "adapt/begin.h"

#include "adapt/dora.h"
#include "adapt/pissa.h"
#include "config/lora_targets.h"
#include "core/error.h"

namespace moesaic {
namespace {

const Parameter& part_of(const ParameterSet& parameters, const std::string& name) {
  const Parameter* found = parameters.find(name);
  MOESAIC_CHECK(found != nullptr, ErrorKind::kInternal, "there is no parameter {}", name);
  return *found;
}

void begin_pissa(const std::vector<LoraTarget>& targets, bool anew, const ParameterSet& parameters,
                 const RankContext& context) {
  std::vector<PissaFactors> all;
  for (const LoraTarget& target : targets) {
    all.push_back({part_of(parameters, target.weight),
                   part_of(parameters, lora_a_start_name(target.weight)),
                   part_of(parameters, lora_b_start_name(target.weight)), target.scale});
  }
  if (anew) {
    find_principal_factors(all, context);
    for (const PissaFactors& start : all) {
      part_of(parameters, lora_a_name(start.weight.name)).tensor.copy_(start.a.tensor);
      part_of(parameters, lora_b_name(start.weight.name)).tensor.copy_(start.b.tensor);
    }
  }
  take_out(all);
}

void begin_dora(const LoraTarget& target, const ParameterSet& parameters) {
  const DoraRows rows{part_of(parameters, target.weight),
                      part_of(parameters, lora_a_name(target.weight)),
                      part_of(parameters, lora_b_name(target.weight)),
                      part_of(parameters, lora_magnitude_name(target.weight)), target.scale};
  rows.magnitude.tensor.copy_(rows.lengths());
}

}  // namespace

void begin_adapters(const Recipe& recipe, const arch::Options& arch, const ParameterSet& parameters,
                    const RankContext& context) {
  if (!recipe.adapt || !recipe.adapt->lora) return;
  const LoraOptions& lora = *recipe.adapt->lora;
  std::vector<LoraTarget> targets = lora_targets(lora, arch, arch::parameter_table(arch));
  // What is trained in full has no factors.
  std::erase_if(targets, [&](const LoraTarget& target) {
    return parameters.find(lora_a_name(target.weight)) == nullptr;
  });
  const bool anew = !recipe.adapt->from;
  if (lora.is_pissa()) begin_pissa(targets, anew, parameters, context);
  if (!lora.use_dora || !anew) return;
  for (const LoraTarget& target : targets) begin_dora(target, parameters);
}

}  // namespace moesaic
