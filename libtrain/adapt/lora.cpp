#include "adapt/lora.h"

#include <map>
#include <optional>
#include <string>
#include <utility>

#include "adapt/dora.h"
#include "adapt/dropout.h"
#include "config/lora_targets.h"
#include "config/name_pattern.h"
#include "nn/ops.h"

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

class PlainLora : public LinearAdapter {
 public:
  explicit PlainLora(LoraPair pair) : pair_(std::move(pair)) {}

  at::Tensor apply(const ForwardContext& context, const at::Tensor& x_TK,
                   const at::Tensor& y_TN) const override {
    const at::Tensor in_TK = pair_.dropout.apply(context, x_TK, context.batch.place_T);
    const at::Tensor h_Tr = linear(context, pair_.a, nullptr, in_TK);
    const at::Tensor change_TN = linear(context, pair_.b, nullptr, h_Tr);
    if (!pair_.dora) return y_TN.add(change_TN, pair_.scale);
    // As in PEFT, what the magnitudes change is W of what dropout leaves, without the bias.
    const bool other = pair_.biased || !in_TK.is_same(x_TK);
    const at::Tensor base_TN = other ? linear(context, pair_.weight, nullptr, in_TK) : y_TN;
    const at::Tensor turned_TN = with_magnitudes(
        context, *pair_.dora, base_TN.add(change_TN, pair_.scale), context.batch.example_id_T);
    return other ? y_TN.sub(base_TN).add(turned_TN) : turned_TN;
  }

 private:
  LoraPair pair_;
};

class GroupedLora : public GroupedLinearAdapter {
 public:
  explicit GroupedLora(LoraPair pair) : pair_(std::move(pair)) {}

  at::Tensor apply(const ForwardContext& context, const at::Tensor& x_RK, const RowGroups& groups,
                   const at::Tensor& y_RN) const override {
    const at::Tensor in_RK = pair_.dropout.apply(context, x_RK, groups.place_R);
    const at::Tensor h_Rr = grouped_linear(context, pair_.a, in_RK, groups);
    const at::Tensor change_RN = grouped_linear(context, pair_.b, h_Rr, groups);
    if (!pair_.dora) return y_RN.add(change_RN, pair_.scale);
    const bool other = !in_RK.is_same(x_RK);
    const at::Tensor base_RN = other ? grouped_linear(context, pair_.weight, in_RK, groups) : y_RN;
    const at::Tensor turned_RN =
        with_magnitudes(context, *pair_.dora, base_RN.add(change_RN, pair_.scale), groups.example_R,
                        groups.offsets);
    return other ? y_RN.sub(base_RN).add(turned_RN) : turned_RN;
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
