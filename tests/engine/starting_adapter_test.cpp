// What a run goes on from, read from a PEFT folder that was written from known values.
#include "engine/starting_adapter.h"

#include <ATen/ops/equal.h>
#include <gtest/gtest.h>

#include "config/lora_targets.h"
#include "config/training_table.h"
#include "store/peft_writer.h"
#include "support/sample_adapter.h"
#include "support/temporary_folder.h"
#include "support/tiny_model.h"

namespace moesaic {
namespace {

class StartingAdapter : public ::testing::Test {
 protected:
  StartingAdapter() {
    write_peft_files(folder_.path(), peft_files(adapter_, arch_, ExpertLayout::kPerExpert));
    AdaptOptions& adapt = recipe_.adapt.emplace();
    adapt.from = folder_.path();
    LoraOptions& begun = adapt.lora.emplace();
    begun.r = 3;
    begun.lora_alpha = 6;
    begun.target_modules = std::vector<std::string>{"q_proj", "experts"};
  }
  LoraOptions& lora() { return *recipe_.adapt->lora; }
  ParameterSet load() {
    const RankContext context = RankContext::single();
    ParameterSet parameters = test::parameters_of(training_table(recipe_, arch_), context);
    load_starting_adapter(recipe_, arch_, Json::object(), parameters, context);
    return parameters;
  }

  testing::TemporaryFolder folder_;
  arch::Options arch_ = test::tiny_olmoe();
  Adapter adapter_ = test::sample_adapter(arch_, {"q_proj", "experts"});
  Recipe recipe_;
};

TEST_F(StartingAdapter, FillsTheFactors) {
  const ParameterSet parameters = load();
  ASSERT_EQ(adapter_.pairs.size(), 8U);  // q and three matrices of experts in two layers
  for (const auto& [weight, pair] : adapter_.pairs) {
    const at::Tensor a = parameters.find(lora_a_name(weight))->tensor;
    const at::Tensor b = parameters.find(lora_b_name(weight))->tensor;
    EXPECT_TRUE(at::equal(a, pair.a.to(at::kDouble))) << weight;
    EXPECT_TRUE(at::equal(b, pair.b.to(at::kDouble))) << weight;
  }
}

TEST_F(StartingAdapter, NamesWhatIsMissingLeftOverOrOfAnotherShape) {
  lora().target_modules = std::vector<std::string>{"k_proj", "experts"};
  testing::expect_error(ErrorKind::kCheckpoint, "k_proj.lora_A.weight", [&] { load(); });
  testing::expect_error(ErrorKind::kCheckpoint, "q_proj.lora_A.weight", [&] { load(); });
  testing::expect_error(ErrorKind::kCheckpoint, folder_.path(), [&] { load(); });
  lora().target_modules = std::vector<std::string>{"q_proj", "experts"};
  lora().r = 4;
  lora().lora_alpha = 8;
  testing::expect_error(ErrorKind::kCheckpoint, "has shape [3, 16] (here [4, 16])",
                        [&] { load(); });
}

TEST_F(StartingAdapter, RefusesAnotherScale) {
  lora().lora_alpha = 12;
  testing::expect_error(ErrorKind::kRecipe, "with the scale 2, and adapt.lora says 4",
                        [&] { load(); });
}

}  // namespace
}  // namespace moesaic
