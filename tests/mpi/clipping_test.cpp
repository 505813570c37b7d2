// Norms and clipped sums of units over all layouts against units that go through the model alone on
// one process, and what one unit more or less changes.
#include <ATen/ops/allclose.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "support/mpi_test.h"
#include "support/tiny_private.h"

namespace moesaic {
namespace {

using test::PrivateModel;

constexpr std::int64_t kUnits = 7;  // no multiple of micro-batches and ranks

struct Case {
  std::string name;
  arch::Options arch;
  test::TinyAdapters beside = {};
};

LoraOptions lora(bool dora) {
  LoraOptions options;
  options.r = 2;
  options.use_dora = dora;
  options.router = "lora";
  return options;
}

std::vector<Case> cases() {
  std::vector<Case> all;
  for (const arch::Options& arch : test::fisher_archs())
    all.push_back({format("{}{}", arch.model_type, arch.num_nextn_predict_layers), arch});
  const arch::Options olmoe = test::fisher_arch("olmoe"),
                      deepseek = test::fisher_arch("deepseek_v3");
  all.push_back({"olmoe, LoRA", olmoe, test::tiny_lora(lora(false), olmoe)});
  all.push_back({"olmoe, DoRA", olmoe, test::tiny_lora(lora(true), olmoe)});
  all.push_back({"deepseek_v3, LoRA", deepseek, test::tiny_lora(lora(false), deepseek)});
  return all;
}

/// Of one process: each unit's whole gradient alone.
struct Alone {
  RankContext context = RankContext::single();
  std::vector<std::vector<at::Tensor>> gradients;
  std::vector<double> norms;

  explicit Alone(const Case& one) {
    PrivateModel model(context, one.arch, {.beside = one.beside});
    for (std::int64_t n = 0; n < kUnits; ++n) {
      std::vector<at::Tensor> own;
      for (const at::Tensor& x : model.sums({n}, 1))
        own.push_back(x.defined() ? x.clone() : at::Tensor());
      norms.push_back(model.norm_of(own));
      gradients.push_back(std::move(own));
    }
  }

  double median() const {
    std::vector<double> sorted = norms;
    std::sort(sorted.begin(), sorted.end());
    return sorted[sorted.size() / 2];
  }

  /// Clipped flat.
  at::Tensor clipped_sum(std::size_t parameter, double clip_norm) const {
    at::Tensor sum;
    for (std::size_t n = 0; n < gradients.size(); ++n) {
      const at::Tensor own = gradients[n][parameter].mul(std::min(1.0, clip_norm / norms[n]));
      sum = sum.defined() ? sum.add(own) : own;
    }
    return sum;
  }
};

/// Expert sizes that a model has.
std::vector<int> layouts(const arch::Options& arch) {
  if (!arch.is_moe()) return {1};
  std::vector<int> sizes = test::expert_sizes();
  std::erase_if(sizes, [&](int size) { return arch.num_experts % size != 0; });
  return sizes;
}

TEST(Clipping, NormsAndSumsAreThoseOfSingleUnitsOnEveryLayout) {
  for (const Case& one : cases()) {
    const Alone alone(one);
    const double clip_norm = alone.median();
    for (const int expert : layouts(one.arch)) {
      const RankContext context = test::context(expert);
      for (const BlockPass pass : {keep_activations, recompute_activations}) {
        const std::string what = format("{}, expert groups of {}{}", one.name, expert,
                                        pass == keep_activations ? "" : ", computed again");
        PrivateModel model(
            context, one.arch,
            {.rule = {Clipping::kFlat, clip_norm}, .pass = pass, .beside = one.beside});
        const std::vector<at::Tensor> sums = model.sums(test::numbers_below(kUnits), 2);
        const std::vector<double> norms = model.norms();
        for (std::size_t n = 0; n < norms.size(); ++n)
          EXPECT_NEAR(norms[n] / alone.norms[n], 1, 1e-10) << what << ", unit " << n;
        for (const Parameter& p : model.parameters) {
          if (!p.trainable) continue;
          const auto i = static_cast<std::size_t>(p.index);
          EXPECT_TRUE(at::allclose(sums[i], test::own_rows(p, alone.clipped_sum(i, clip_norm)),
                                   1e-10, 1e-12))
              << what << ": " << p.name;
        }
      }
    }
  }
}

// How much the clipped sum changes at most when one of the units goes away, over the bound.
double worst_change(PrivateModel& model, double clip_norm, std::int64_t micro_batch_size) {
  const std::vector<std::int64_t> all = test::numbers_below(kUnits);
  std::vector<at::Tensor> sums;
  for (const at::Tensor& x : model.sums(all, micro_batch_size))
    sums.push_back(x.defined() ? x.clone() : x);
  double worst = 0;
  for (std::int64_t gone = 0; gone < kUnits; ++gone) {
    std::vector<std::int64_t> others = all;
    others.erase(others.begin() + gone);
    const double change =
        model.norm_of(test::difference(sums, model.sums(others, micro_batch_size)));
    worst = std::max(worst, change / clip_norm);
  }
  return worst;
}

constexpr double kBound = 1 + 1e-5;

TEST(Neighbours, DifferByAtMostTheBoundOnEveryLayout) {
  for (const Case& one : cases()) {
    const double clip_norm = Alone(one).median();
    for (const int expert : layouts(one.arch)) {
      const RankContext context = test::context(expert);
      for (const Clipping clipping : {Clipping::kFlat, Clipping::kPerLayer, Clipping::kAutomatic}) {
        PrivateModel model(context, one.arch,
                           {.rule = {clipping, clip_norm}, .beside = one.beside});
        const double worst = worst_change(model, clip_norm, 2);
        EXPECT_LE(worst, kBound) << one.name << ", expert groups of " << expert;
        EXPECT_GT(worst, 0.1) << one.name;  // the units do count
      }
    }
  }
}

// What the test of neighbours is worth: mistakes that others have made.
struct Mistakes : ::testing::Test {
  Case one{"olmoe", test::fisher_arch("olmoe")};
  double clip_norm = Alone(one).median();

  double worst(const PrivateModel::Options& options, int expert = 1) const {
    const RankContext context = test::context(expert);
    PrivateModel model(context, one.arch, options);
    return worst_change(model, clip_norm, kUnits);
  }
};

TEST_F(Mistakes, NoClipping) { EXPECT_GT(worst({}), kBound); }

TEST_F(Mistakes, GroupsThatHaveTheWholeBoundEach) {
  const double groups = 6;  // attention, experts, router, embedding, head, norms
  EXPECT_GT(worst({.rule = {Clipping::kPerLayer, clip_norm * std::sqrt(groups)}}), kBound);
}

TEST_F(Mistakes, BalanceOfTheBatch) {
  EXPECT_GT(worst({.rule = {Clipping::kFlat, clip_norm}, .batch_balance = true}), kBound);
}

// A unit that comes pushes tokens of others out of an expert that is full.
TEST_F(Mistakes, ExpertsThatAreFull) {
  EXPECT_GT(worst({.rule = {Clipping::kFlat, clip_norm}, .moe = {.capacity = {.factor = 0.5}}}),
            kBound);
}

// The experts' part of a unit and the rest are clipped by ranks that do not know of each other.
TEST_F(Mistakes, ClippingByTheNormsOfOneRank) {
  const int ranks = test::world().size();
  if (ranks == 1 || 12 % ranks != 0) GTEST_SKIP() << "needs experts on several ranks";
  EXPECT_GT(worst({.rule = {Clipping::kFlat, clip_norm}, .norms_of_this_rank = true}, ranks),
            kBound);
}

}  // namespace
}  // namespace moesaic
