// What one unit more or less changes in the clipped sum of a step, over all layouts, and what the
// same test says of mistakes that others have made: these stand in the place of the right parts.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <random>

#include "core/random.h"
#include "data/unit_draws.h"
#include "moe/feedback.h"
#include "support/mpi_test.h"
#include "support/private_cases.h"

namespace moesaic {
namespace {

using test::PrivateCase;
using test::PrivateModel;
using test::UnitsAlone;
using Numbers = std::vector<std::int64_t>;
using Values = std::vector<at::Tensor>;  // by position in the ParameterSet

constexpr std::int64_t kUnits = 7;  // no multiple of micro-batches and ranks
constexpr double kBound = 1 + 1e-5;

Numbers without(Numbers units, std::size_t place) {
  units.erase(units.begin() + static_cast<std::ptrdiff_t>(place));
  return units;
}

/// How much what a step gives out changes at most when one of the units goes away. `released`: of
/// the units of a step.
template <class Released>
double worst_change(const PrivateModel& model, const Numbers& units, const Released& released) {
  const Values all = released(units);
  double worst = 0;
  for (std::size_t gone = 0; gone < units.size(); ++gone) {
    const Values others = released(without(units, gone));
    worst = std::max(worst, model.norm_of(test::difference(all, others)));
  }
  return worst;
}

double worst_change_of_sums(PrivateModel& model, std::int64_t micro_batch_size) {
  return worst_change(model, test::numbers_below(kUnits), [&](const Numbers& numbers) {
    return model.sums(numbers, micro_batch_size);
  });
}

TEST(Neighbours, DifferByAtMostTheBoundOnEveryLayout) {
  for (const PrivateCase& one : test::private_cases()) {
    const double clip_norm = UnitsAlone(one, kUnits).median();
    for (const int expert : one.layouts()) {
      const RankContext context = test::context(expert);
      for (const Clipping clipping : {Clipping::kFlat, Clipping::kPerLayer, Clipping::kAutomatic}) {
        PrivateModel model(context, one.arch,
                           {.rule = {clipping, clip_norm}, .beside = one.beside});
        const double worst = worst_change_of_sums(model, 2) / clip_norm;
        EXPECT_LE(worst, kBound) << one.name << ", expert groups of " << expert;
        EXPECT_GT(worst, 0.1) << one.name;  // the units do count
      }
    }
  }
}

/// Drawn from its seed alone, the same on all ranks.
struct RandomData {
  Numbers units;
  std::size_t gone = 0;       // of units
  std::uint64_t weights = 0;  // random routers, too
  std::size_t place = 0;      // of clip_norm among the units' norms, in order
  std::int64_t micro_batch_size = 1;
  Clipping clipping = Clipping::kFlat;
  at::ScalarType dtype = at::kDouble;

  explicit RandomData(std::uint64_t seed) {
    std::mt19937_64 draw(seed);
    const std::uint64_t count = 1 + draw() % 9;
    for (std::uint64_t i = 0; i < count; ++i)
      units.push_back(static_cast<std::int64_t>(draw() % 1'000'000));
    gone = draw() % count;
    weights = draw();
    place = draw() % count;
    micro_batch_size = static_cast<std::int64_t>(1 + draw() % 4);
    constexpr Clipping kKinds[] = {Clipping::kFlat, Clipping::kPerLayer, Clipping::kAutomatic};
    clipping = kKinds[draw() % 3];
    dtype = draw() % 2 == 0 ? at::kDouble : at::kFloat;
  }

  PrivateModel model(const RankContext& context, const PrivateCase& one,
                     const ClippingRule& rule) const {
    return PrivateModel(context, one.arch,
                        {.rule = rule, .beside = one.beside, .weights = weights, .dtype = dtype});
  }
  /// What the unit that goes away changes, over the bound. Collective over world.
  double change(const RankContext& context, const PrivateCase& one) const {
    PrivateModel whole = model(context, one, {Clipping::kNone, 0});
    whole.sums(units, micro_batch_size);
    std::vector<double> norms = whole.norms();
    std::sort(norms.begin(), norms.end());
    const double clip_norm = norms[place];
    PrivateModel clipped = model(context, one, {clipping, clip_norm});
    const Values all = clipped.sums(units, micro_batch_size);
    const Values others = clipped.sums(without(units, gone), micro_batch_size);
    return clipped.norm_of(test::difference(all, others)) / clip_norm;
  }
};

std::uint64_t data_sets() {
  const char* given = std::getenv("MOESAIC_DATA_SETS");
  return given != nullptr ? std::strtoull(given, nullptr, 10) : 1;
}

// The label slow has more of them.
TEST(Neighbours, OfRandomDataDifferByAtMostTheBound) {
  std::uint64_t seed = 1;
  for (std::uint64_t set = 0; set < data_sets(); ++set) {
    for (const PrivateCase& one : test::private_cases()) {
      const RandomData data(seed++);
      for (const int expert : one.layouts()) {
        EXPECT_LE(data.change(test::context(expert), one), kBound)
            << one.name << ", expert groups of " << expert << ", seed " << seed - 1;
      }
    }
  }
}

constexpr std::int64_t kDrawnFrom = 24;  // units of the data of which steps are made

/// What the last unit of the data changes in step 1, where `step_of(units)` says which are in it.
template <class StepOf>
double change_of_a_step(PrivateModel& model, const StepOf& step_of) {
  const Values with = model.sums(step_of(kDrawnFrom), 2);
  return model.norm_of(test::difference(with, model.sums(step_of(kDrawnFrom - 1), 2)));
}

/// Models of one case, whose bound is the median of the norms.
struct Mistakes : ::testing::Test {
  PrivateCase one{"olmoe", test::fisher_arch("olmoe")};
  double clip_norm = UnitsAlone(one, kUnits).median();
  ClippingRule flat = {Clipping::kFlat, clip_norm};
  RankContext context = test::context(1);

  double worst(const PrivateModel::Options& options, int expert = 1) const {
    const RankContext ranks = test::context(expert);
    PrivateModel model(ranks, one.arch, options);
    return worst_change_of_sums(model, kUnits) / clip_norm;
  }
};

TEST_F(Mistakes, NoClipping) { EXPECT_GT(worst({}), kBound); }

// Such as the experts apart from the rest.
TEST_F(Mistakes, GroupsThatHaveTheWholeBoundEach) {
  const double groups = 6;  // attention, experts, router, embedding, head, norms
  EXPECT_GT(worst({.rule = {Clipping::kPerLayer, clip_norm * std::sqrt(groups)}}), kBound);
}

TEST_F(Mistakes, BalanceOfTheBatch) {
  EXPECT_GT(worst({.rule = flat, .batch_balance = true}), kBound);
}

// A unit that comes pushes tokens of others out of an expert that is full.
TEST_F(Mistakes, ExpertsThatAreFull) {
  EXPECT_GT(worst({.rule = flat, .moe = {.capacity = {.factor = 0.5}}}), kBound);
}

// The experts' part of a unit and the rest are clipped by ranks that do not know of each other.
TEST_F(Mistakes, ClippingByTheNormsOfOneRank) {
  const int ranks = test::world().size();
  if (ranks == 1 || 12 % ranks != 0) GTEST_SKIP() << "needs experts on several ranks";
  EXPECT_GT(worst({.rule = flat, .norms_of_this_rank = true}, ranks), kBound);
}

// The bias is moved by exact counts of a step; in the next one, whose units are the same, each unit
// goes to other experts.
TEST_F(Mistakes, ABiasThatCountsMove) {
  const arch::Options biased = test::fisher_arch("olmoe", {{"use_expert_bias", true}});
  const Numbers next_step = {20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35};
  const double small = clip_norm / 4;  // all are clipped
  const auto after = [&](double speed, const Numbers& first_step) {
    RoutingStats routing;
    PrivateModel model(context, biased, {.rule = {Clipping::kFlat, small}, .routing = &routing});
    model.sums(first_step, kUnits);
    routing.reduce(context.world);
    std::vector<at::Tensor> biases;
    for (const Parameter& p : model.parameters)
      if (p.correction_bias) biases.push_back(p.tensor);
    EXPECT_EQ(biases.size(), 2U);
    BiasBalance(routing, biases, speed).after(context, {});
    return model.sums(next_step, kUnits);
  };
  const PrivateModel measure(context, biased, {});
  const auto worst_after = [&](double speed) {
    return worst_change(measure, test::numbers_below(kUnits),
                        [&](const Numbers& numbers) { return after(speed, numbers); });
  };
  EXPECT_EQ(worst_after(0), 0);
  EXPECT_GT(worst_after(1) / small, kBound);
}

// A weight that is used twice has one gradient, the sum of both; its norm is not that of two.
TEST_F(Mistakes, TheCrossTermOfATiedWeight) {
  const PrivateCase llama{"llama", test::fisher_arch("llama")};
  const std::vector<double> norms = UnitsAlone(llama, 20).norms;
  const double least = 0.5 * *std::min_element(norms.begin(), norms.end());
  PrivateModel model(context, llama.arch, {.rule = {Clipping::kFlat, least}});
  const Parameter& embedding = *model.parameters.find("model.embed_tokens.weight");
  const Parameter& head = *model.parameters.find("lm_head.weight");
  at::Tensor(head.tensor).copy_(embedding.tensor);
  const auto tied = [&](const Numbers& numbers) {
    Values sums = model.sums(numbers, 4);
    sums[static_cast<std::size_t>(embedding.index)].add_(
        sums[static_cast<std::size_t>(head.index)]);
    sums[static_cast<std::size_t>(head.index)] = at::Tensor();
    return sums;
  };
  EXPECT_GT(worst_change(model, test::numbers_below(20), tied) / least, kBound);
}

// The sum is divided by the units that there are, not by a number of the recipe.
TEST_F(Mistakes, ANormaliserFromTheData) {
  const double small = clip_norm / 4;  // all are clipped
  PrivateModel model(context, one.arch, {.rule = {Clipping::kFlat, small}});
  const auto divided = [&](bool by_units) {
    return worst_change(model, test::numbers_below(2),
                        [&, by_units](const Numbers& numbers) {
                          const double divisor =
                              by_units ? static_cast<double>(numbers.size()) : test::kPrivateBatch;
                          Values mean = model.sums(numbers, kUnits);
                          for (const at::Tensor& x : mean)
                            if (x.defined()) at::Tensor(x).mul_(test::kPrivateBatch / divisor);
                          return mean;
                        }) /
           small;
  };
  EXPECT_LE(divided(false), kBound);
  EXPECT_GT(divided(true), kBound);
}

// Batches of a shuffled order: a unit that goes away moves others into other steps. Draws are each
// unit's own.
TEST_F(Mistakes, ShuffledBatchesInPlaceOfDraws) {
  PrivateModel model(context, one.arch, {.rule = flat});
  const auto drawn = [](std::int64_t units) {
    const UnitDraws draws({.units = units, .rate = 0.25, .slots = kDrawnFrom},
                          SecretKey::from_seed(3));
    return draws.of_step(1);
  };
  EXPECT_LE(change_of_a_step(model, drawn) / clip_norm, kBound);
  double most = 0;
  for (std::uint64_t seed = 1; seed <= 16; ++seed) {
    const RandomKey key(seed, RandomStream::kShuffle);
    const auto shuffled = [&key](std::int64_t units) {
      Numbers batch;
      for (std::uint64_t i = 0; i < 6; ++i)
        batch.push_back(
            static_cast<std::int64_t>(permuted(i, static_cast<std::uint64_t>(units), key)));
      return batch;
    };
    most = std::max(most, change_of_a_step(model, shuffled) / clip_norm);
  }
  EXPECT_GT(most, kBound);
}

}  // namespace
}  // namespace moesaic
