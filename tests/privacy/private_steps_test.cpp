#include "privacy/private_steps.h"

#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <memory>

#include "support/parameters.h"
#include "support/temporary_folder.h"

namespace moesaic {
namespace {

struct Steps : ::testing::Test {
  RankContext context = RankContext::single();
  ParameterSet set{{test::parameter_of("w", at::zeros({4}, at::kDouble))}};
  std::unique_ptr<ClippingSink> sink;
  PrivacyOptions privacy;

  Steps() {
    privacy.noise_multiplier = 2;
    privacy.clip_norm = 3;
    privacy.expected_batch_size = 10;
  }
  std::unique_ptr<PrivateSteps> make(const PrivateSteps::Options& more = {}) {
    sink = std::make_unique<ClippingSink>(
        set, context,
        ClippingSink::Options{.dtype = at::kDouble,
                              .divisor = privacy.expected_batch_size,
                              .rule = ClippingRule::named(privacy.clipping, privacy.clip_norm)},
        std::make_unique<AccumulatingSink>(set, context, MatmulKernel::kMkl));
    PrivateSteps::Options options = more;
    options.privacy = privacy;
    options.noise_multiplier = *privacy.noise_multiplier;
    return std::make_unique<PrivateSteps>(options, context.world, *sink);
  }
  static bool same_key(const PrivateSteps& a, const PrivateSteps& b) {
    const Step step;
    return std::ranges::equal(a.draw(step).key.bytes(), b.draw(step).key.bytes());
  }
};

TEST_F(Steps, NoiseIsThatOfTheBoundInTheUnitsOfTheGradient) {
  const auto steps = make();
  steps->before({.number = 4});
  EXPECT_DOUBLE_EQ(steps->draw({.number = 4}).deviation, 2 * 3 / 10.0);
  EXPECT_EQ(steps->draw({.number = 4}).number, 4U);
}

TEST_F(Steps, WithoutABoundHaveTheNoiseOfTheBoundOne) {
  privacy.clip_norm = 0;
  const auto steps = make();
  steps->before({});
  EXPECT_DOUBLE_EQ(steps->draw({}).deviation, 2 / 10.0);
}

TEST_F(Steps, ShowWhatIsNoisedOrPublic) {
  MetricsRow row;
  for (const char* name : {"tokens", "loss", "loss_total", "grad_norm", "moe_balance"})
    row.set(name, 1);
  row.vectors.emplace_back("load", std::vector<double>{1, 2});
  make()->report(row);
  ASSERT_EQ(row.values.size(), 2U);
  EXPECT_EQ(row.values[0].first, "tokens");
  EXPECT_EQ(row.values[1].first, "grad_norm");
  EXPECT_TRUE(row.vectors.empty());

  privacy.log_loss = true;
  MetricsRow all;
  all.set("loss", 1);
  make()->report(all);
  EXPECT_NE(all.find("loss"), nullptr);
}

TEST_F(Steps, AKeyIsNewInEachRunAndAfterEachRestore) {
  const auto one = make();
  const auto first_sink = std::move(sink);
  const auto other = make();
  EXPECT_FALSE(same_key(*one, *other));
  const SecretKey before = one->draw({}).key;
  one->restore(context, Json::object(), {});
  EXPECT_FALSE(std::ranges::equal(before.bytes(), one->draw({}).key.bytes()));
}

// Of two steps and three, in rounds of two: the second task begins with a round of its own.
TEST_F(Steps, OfATaskHaveItsPriceAndNoNoiseOfTheOneBefore) {
  const testing::TemporaryFolder folder;
  const std::string path = folder.path() + "/ledger.json";
  PrivateSteps::Options tasks;
  tasks.ledger = PrivateLedger::Options{.path = path, .terms = {.data = "d", .unit = "sequence"}};
  tasks.tasks =
      PrivateSteps::Tasks{.steps = TaskSteps({3, 3}),
                          .costs = {{2, {.noise_multiplier = 2, .sampling_rate = 0.25}, 2},
                                    {2, {.noise_multiplier = 2, .sampling_rate = 0.5}, 2}}};
  const auto steps = make(tasks);
  std::vector<std::uint64_t> sequences;
  for (std::int64_t number = 1; number <= 6; ++number) {
    EXPECT_EQ(steps->admit(context, number), nullptr);
    sequences.push_back(steps->draw({.number = number}).sequence);
  }
  EXPECT_EQ(sequences[0], sequences[2]);
  EXPECT_NE(sequences[2], sequences[3]);
  EXPECT_EQ(sequences[3], sequences[5]);
  const accounting::Events events = accounting::read_ledger(path).events;
  ASSERT_EQ(events.size(), 2U);
  for (const accounting::Event& event : events)
    EXPECT_EQ(event.steps, 2)
        << event.sampling_rate;  // rounds: of the last one a step was paid in vain
}

TEST_F(Steps, ASeedSaysThatTheyAreNotPrivate) {
  privacy.noise_seed = 4;
  const auto one = make();
  const auto first_sink = std::move(sink);
  EXPECT_TRUE(same_key(*one, *make()));
  Json notes;
  one->add_notes(notes);
  EXPECT_TRUE(notes["privacy"].contains("NOT PRIVATE"));
  MetricsRow row;
  one->report(row);
  EXPECT_NE(row.find("not_private"), nullptr);
  EXPECT_EQ(notes["privacy"]["clip_norm"], 3);
}

// Nobody is below the bound: it rises, and a checkpoint knows it.
TEST_F(Steps, MoveTheBoundByTheCount) {
  privacy.clipping = "adaptive";
  privacy.adaptive = {.quantile = 0.5, .rate = 0.2, .noise = 1e-9};
  privacy.noise_multiplier = 0;
  const auto steps = make();
  steps->before({});
  Batch batch;
  batch.example_id_T = at::zeros({1}, at::kLong);
  batch.attention_offsets = {0, 1};
  sink->begin({});
  sink->expect(batch);
  ParameterUse use{.kind = ParameterUse::Kind::kBias,
                   .parameter = set[0],
                   .input = {},
                   .output_gradient = at::zeros({1, 4}, at::kDouble).add(1),
                   .example_R = batch.example_id_T};
  sink->open(set[0]);
  sink->add(use);
  sink->close(set[0], {});
  sink->end();  // the unit's norm is 20
  steps->gradient_done(context, {});
  Json notes;
  steps->add_notes(notes);
  EXPECT_NEAR(notes["privacy"]["clip_norm"].get<double>(), 3 * std::exp(0.2 * 0.05), 1e-6);
  const auto later = make();
  at::Tensor(later->state().at(0).tensor).copy_(steps->state().at(0).tensor);
  later->restore(context, notes, {});
  MetricsRow row;
  later->before({});
  later->report(row);
  EXPECT_NEAR(*row.find("clip_norm"), 3 * std::exp(0.2 * 0.05), 1e-6);
}

}  // namespace
}  // namespace moesaic
