// The choice of experts against brute force and a count by hand.
#include "adapt/esft.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/allclose.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <numeric>

#include "adapt/expert_scores.h"
#include "support/tiny_lora.h"

namespace moesaic {
namespace {

using Experts = std::vector<std::int64_t>;

TEST(FewestExperts, NoSmallerSetReachesTheShare) {
  for (int trial = 0; trial < 50; ++trial) {
    Experts scores(8);
    for (std::size_t i = 0; i < scores.size(); ++i)
      scores[i] = 37 * (static_cast<std::int64_t>(i) + 1) * (trial + 5) % 59;
    const double share = 0.02 * (trial + 1);
    const double wanted =
        share * static_cast<double>(std::accumulate(scores.begin(), scores.end(), std::int64_t{0}));
    const auto sum_of = [&](unsigned set) {
      std::int64_t sum = 0;
      for (unsigned i = 0; i < 8; ++i) sum += (set >> i & 1U) != 0 ? scores[i] : 0;
      return static_cast<double>(sum);
    };
    int fewest = 8;
    for (unsigned set = 1; set < 256; ++set)
      if (sum_of(set) >= wanted) fewest = std::min(fewest, std::popcount(set));
    const Experts chosen = fewest_experts(scores, share);
    unsigned set = 0;
    for (const std::int64_t expert : chosen) set |= 1U << expert;
    EXPECT_EQ(std::ssize(chosen), fewest) << trial;
    EXPECT_GE(sum_of(set), wanted) << trial;
  }
  EXPECT_EQ(fewest_experts({5, 5, 5, 5}, 0.5), (Experts{0, 1})) << "of equal ones the first";
  EXPECT_EQ(fewest_experts({0, 0, 7}, 1.0), (Experts{2}));
  EXPECT_THROW(fewest_experts({0, 0}, 0.5), Error);
}

// Two micro-batches a step.
class SomeDraws : public StepData {
 public:
  StepSize size(std::int64_t) const override { return {12, 12, 2, 4}; }
  Batch micro_batch(std::int64_t step, std::int64_t index) const override {
    return test::batch_of({4, 2}, 31, 40 * step + 20 * index);
  }
};

struct TinyEsft {
  arch::Options arch = test::tiny_olmoe();
  RankContext context = RankContext::single();
  Recipe recipe;
  test::TinyRun run;
  SomeDraws data;

  explicit TinyEsft(const EsftOptions& esft)
      : recipe(recipe_with(esft)),
        run(context, arch, test::batch_of({5, 6}, 31), {11, 11, 1}, keep_activations,
            {training_table(recipe, arch),
             [](const ParameterSet&) { return std::unique_ptr<AdapterFactory>(); }}) {}

  static Recipe recipe_with(const EsftOptions& esft) {
    Recipe recipe;
    recipe.adapt.emplace().esft = esft;
    return recipe;
  }
  EsftRun make(std::unique_ptr<GradientSink> sink = nullptr) {
    return make_esft({.esft = *recipe.adapt->esft, .arch = arch, .max_steps = 5}, run.parameters,
                     run.model, run.computation, data, context, std::move(sink));
  }
};

TEST(ExpertScores, AddUpWhatTheChoicesWeighOverTheFirstDraws) {
  const at::NoGradGuard no_gradients;
  for (const bool by_gate : {true, false}) {
    const EsftOptions esft{.score = by_gate ? "gate" : "tokens", .sample_tokens = 13};  // two steps
    TinyEsft tiny(esft);
    const ExpertScores scores =
        score_experts(esft, 5, tiny.run.model, tiny.run.computation, tiny.data, tiny.context);
    ASSERT_EQ(scores.size(), 2U);
    std::vector<std::vector<double>> by_hand(2, std::vector<double>(12, 0.0));
    for (int draw = 0; draw < 4; ++draw) {
      const Batch batch = tiny.data.micro_batch(draw / 2, draw % 2);
      const ModelOutput output = tiny.run.model.forward(tiny.run.computation.forward(batch));
      for (std::size_t layer = 0; layer < 2; ++layer) {
        const RouterRecord& record = output.routers[layer];
        for (std::int64_t t = 0; t < batch.tokens(); ++t) {
          double chosen = 0;  // OLMoE here: the chosen probabilities are divided by their sum
          const auto expert = [&](std::int64_t k) { return record.selected_TK[t][k].item<int>(); };
          for (int k = 0; k < 3; ++k)
            chosen += record.probabilities_TE[t][expert(k)].item<double>();
          for (int k = 0; k < 3; ++k) {
            by_hand[layer][static_cast<std::size_t>(expert(k))] +=
                by_gate ? record.probabilities_TE[t][expert(k)].item<double>() / chosen : 1.0;
          }
        }
      }
    }
    const double unit = by_gate ? 1 << 30 : 1;
    for (std::size_t layer = 0; layer < 2; ++layer) {
      for (std::size_t i = 0; i < 12; ++i)
        EXPECT_NEAR(static_cast<double>(scores[layer][i]) / unit, by_hand[layer][i], 1e-7);
    }
  }
}

// The other experts' gradients stay zero, and those chosen are as if all were trained.
TEST(Esft, GivesTheChosenExpertsTheirGradientsAlone) {
  TinyEsft tiny({.share = 0.3, .sample_tokens = 20});
  auto inner = std::make_unique<test::CaptureSink>();
  const auto& gradients = inner->gradients;
  EsftRun esft = tiny.make(std::move(inner));
  esft.part->before(Step{});
  Json notes;
  esft.part->add_notes(notes);
  ASSERT_EQ(notes.at("esft").size(), 2U);

  tiny.run.loss(true);
  ForwardContext forward = tiny.run.computation.forward(tiny.run.batch);
  forward.sink = esft.sink.get();
  forward.training = true;
  const ModelOutput output = tiny.run.model.forward(forward);
  const StepView view{forward, output, tiny.run.model.head(), tiny.run.size};
  CrossEntropy()
      .evaluate(view)
      .loss.add(SwitchBalance(0.5).evaluate(view).loss)
      .add(RouterZ(0.1).evaluate(view).loss)
      .backward();

  Gradients all = tiny.run.sink.gradients();
  ASSERT_EQ(all.entries.size(), 6U) << "three matrices of experts in two layers";
  MetricsRow row;
  esft.transform->apply(tiny.context, Step{}, all, row);
  for (const GradientEntry& entry : all.entries) {
    const bool second = entry.parameter.name.find("layers.1.") != std::string::npos;
    const Experts chosen = notes.at("esft").at(second ? 1 : 0).get<Experts>();
    EXPECT_LE(std::ssize(chosen), entry.parameter.most_experts);
    Experts updated;
    for (const RowRange& range : *entry.updated) updated.push_back(range.first);
    EXPECT_EQ(updated, chosen);
    const at::Tensor& some = gradients.at(entry.parameter.index);
    for (std::int64_t e = 0; e < 12; ++e) {
      const bool kept = std::binary_search(chosen.begin(), chosen.end(), e);
      EXPECT_TRUE(kept ? at::allclose(some[e], entry.gradient[e], 1e-12, 1e-14)
                       : some[e].abs().max().item<double>() == 0)
          << entry.parameter.name << " " << e;
    }
  }
}

TEST(Esft, TakesTheChoiceOfACheckpoint) {
  TinyEsft tiny({.share = 0.3, .sample_tokens = 20});
  EsftRun esft = tiny.make();
  esft.part->restore(tiny.context, {{"esft", {{1, 4}, {11}}}}, {});
  esft.part->before(Step{});  // and does not choose anew
  Json notes;
  esft.part->add_notes(notes);
  EXPECT_EQ(notes.at("esft").dump(), "[[1,4],[11]]");
  for (const char* wrong : {"{}", R"({"esft": [[1], [12]]})", R"({"esft": [[1]]})",
                            R"({"esft": [[1], ["2"]]})", R"({"esft": [[1], [-1]]})"})
    EXPECT_THROW(esft.part->restore(tiny.context, Json::parse(wrong), {}), Error) << wrong;
}

}  // namespace
}  // namespace moesaic
