#include "adapt/lora.h"

#include <map>
#include <optional>
#include <string>
#include <utility>

#include "adapt/dora.h"
#include "adapt/dropout.h"
#include "config/lora_targets.h"
#include "config/name_pattern.h"
#include "nn/low_rank.h"

namespace moesaic {
namespace {

struct LoraPair {
  const Parameter& weight;
  const Parameter& a;  // [r, K], or [e, r, K]
  const Parameter& b;  // [N, r], or [e, N, r]
  double scale;
  Dropout dropout;
  std::optional<DoraRows> dora = {};
  bool biased = false;  // the map's output has a bias in it
};

// What takes the place of map(x). Rows of one matrix, or with `groups` of one for each group.
at::Tensor adapted(const ForwardContext& context, const LoraPair& pair, const at::Tensor& x,
                   const std::optional<RowGroups>& groups, const MapOfRows& map) {
  const at::Tensor in =
      pair.dropout.apply(context, x, groups ? groups->place_R : context.batch.place_T);
  const bool whole = in.is_same(x);  // nothing is left out
  const LowRankInput low = times_a(context, pair.a, pair.scale, in, groups);
  const at::Tensor y = map(whole ? low.x : x);
  if (!pair.dora) return add_times_b(context, pair.b, low.h, y, groups);
  const auto turned = [&](const at::Tensor& base) {
    const at::Tensor u = add_times_b(context, pair.b, low.h, base, groups);
    return groups ? with_magnitudes(context, *pair.dora, u, groups->example_R, groups->offsets)
                  : with_magnitudes(context, *pair.dora, u, context.batch.example_id_T);
  };
  if (whole && !pair.biased) return turned(y);
  // As in PEFT, what the magnitudes change is W of what dropout leaves, without the bias.
  const at::Tensor base = groups ? grouped_linear(context, pair.weight, low.x, *groups)
                                 : linear(context, pair.weight, nullptr, low.x);
  const at::Tensor rest = y.sub(base);  // before base is written over
  return rest.add(turned(base));
}

class PlainLora : public LinearAdapter {
 public:
  explicit PlainLora(LoraPair pair) : pair_(std::move(pair)) {}

  at::Tensor apply(const ForwardContext& context, const at::Tensor& x_TK,
                   const MapOfRows& map) const override {
    return adapted(context, pair_, x_TK, std::nullopt, map);
  }

 private:
  LoraPair pair_;
};

class GroupedLora : public GroupedLinearAdapter {
 public:
  explicit GroupedLora(LoraPair pair) : pair_(std::move(pair)) {}

  at::Tensor apply(const ForwardContext& context, const at::Tensor& x_RK, const RowGroups& groups,
                   const MapOfRows& map) const override {
    return adapted(context, pair_, x_RK, groups, map);
  }

 private:
  LoraPair pair_;
};

class LoraFactory : public AdapterFactory {
 public:
  LoraFactory(const LoraOptions& lora, std::uint64_t seed, const arch::Options& arch,
              const ParameterSet& parameters)
      : dropout_(lora.lora_dropout), seed_(seed), parameters_(parameters) {
    for (const LoraTarget& target : lora_targets(lora, arch, arch::parameter_table(arch)))
      scales_.emplace(target.weight, target.scale);
  }

  std::shared_ptr<const LinearAdapter> beside(const Parameter& weight) const override {
    return make<PlainLora>(weight);
  }
  std::shared_ptr<const GroupedLinearAdapter> beside_experts(
      const Parameter& weight) const override {
    return make<GroupedLora>(weight);
  }

 private:
  // What is trained in full has no factors in the table.
  template <class Adapter>
  std::shared_ptr<const Adapter> make(const Parameter& weight) const {
    const Parameter* a = parameters_.find(lora_a_name(weight.name));
    const Parameter* b = parameters_.find(lora_b_name(weight.name));
    if (a == nullptr || b == nullptr) return nullptr;
    const double scale = scales_.at(weight.name);
    LoraPair pair{weight, *a, *b, scale, Dropout(dropout_, seed_, weight.name)};
    if (const Parameter* magnitude = parameters_.find(lora_magnitude_name(weight.name)))
      pair.dora.emplace(DoraRows{weight, *a, *b, *magnitude, scale});
    pair.biased = parameters_.find(module_of(weight.name) + ".bias") != nullptr;
    return std::make_shared<Adapter>(std::move(pair));
  }

  double dropout_;
  std::uint64_t seed_;
  const ParameterSet& parameters_;
  std::map<std::string, double> scales_;
};

}  // namespace

std::unique_ptr<AdapterFactory> make_lora(const Recipe& recipe, const arch::Options& arch,
                                          const ParameterSet& parameters) {
  if (!recipe.adapt || !recipe.adapt->lora) return nullptr;
  return std::make_unique<LoraFactory>(*recipe.adapt->lora, recipe.seed, arch, parameters);
}

}  // namespace moesaic
