#include "adapt/lora.h"

#include <map>
#include <string>
#include <utility>

#include "adapt/dropout.h"
#include "config/lora_targets.h"
#include "nn/ops.h"

namespace moesaic {
namespace {

struct LoraPair {
  const Parameter& a;  // [r, K], or [e, r, K]
  const Parameter& b;  // [N, r], or [e, N, r]
  double scale;
  Dropout dropout;
};

class PlainLora : public LinearAdapter {
 public:
  explicit PlainLora(LoraPair pair) : pair_(std::move(pair)) {}

  at::Tensor apply(const ForwardContext& context, const at::Tensor& x_TK,
                   const at::Tensor& y_TN) const override {
    const at::Tensor in_TK = pair_.dropout.apply(context, x_TK, context.batch.place_T);
    const at::Tensor h_Tr = linear(context, pair_.a, nullptr, in_TK);
    return y_TN.add(linear(context, pair_.b, nullptr, h_Tr), pair_.scale);
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
    return y_RN.add(grouped_linear(context, pair_.b, h_Rr, groups), pair_.scale);
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
    return std::make_shared<Adapter>(
        LoraPair{*a, *b, scales_.at(weight.name), Dropout(dropout_, seed_, weight.name)});
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
