// The audit of one run (Steinke et al. 2023, arXiv 2305.08846) of clipping, noise and draws, with
// the strongest canaries there are: their gradients are orthogonal, and whoever attacks sees what
// each step releases. Its lower bound is below what is claimed, and above it for mistakes.
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <numeric>
#include <random>

#include "accounting/accountant.h"
#include "accounting/audit.h"
#include "data/unit_draws.h"
#include "privacy/clipping_sink.h"
#include "privacy/noise.h"
#include "support/parameters.h"

namespace moesaic {
namespace {

using Numbers = std::vector<std::int64_t>;

constexpr std::int64_t kCanaries = 1000;
constexpr double kLength = 10;  // of each canary's gradient; the bound is 1
constexpr double kDelta = 1e-5;

double claimed(double noise, double rate, std::int64_t steps) {
  return accounting::epsilon_of({{noise, rate, steps}}, kDelta, accounting::Accountant::kPld).value;
}

/// One run over canaries of which each is in the data with probability 1/2.
class AuditedRun {
 public:
  struct Options {
    double deviation = 1;  // of the noise that there is
    ClippingRule rule = {Clipping::kFlat, 1};
    bool reuses_noise = false;
  };

  AuditedRun(const Options& options, std::uint64_t seed)
      : options_(options), key_(SecretKey::from_seed(seed)) {
    std::mt19937_64 coin(seed);
    for (std::int64_t c = 0; c < kCanaries; ++c) is_in_.push_back(coin() % 2 == 0);
    auto sum = std::make_unique<AccumulatingSink>(set_, context_, MatmulKernel::kMkl);
    gradients_ = sum->gradients();
    sink_ = std::make_unique<ClippingSink>(
        set_, context_, ClippingSink::Options{.dtype = at::kDouble, .rule = options.rule},
        std::move(sum));
  }

  /// What a step gives out into which these canaries were drawn, for each canary: of the data are
  /// those alone that are in.
  std::vector<double> release(Numbers drawn) {
    std::erase_if(drawn, [&](std::int64_t c) { return !is_in(c); });
    gradients_.clear();
    sink_->begin({});
    const at::Tensor unit_R = at::tensor(numbers_below(std::ssize(drawn)), at::kLong);
    if (!drawn.empty()) hand_over(drawn, unit_R);
    Batch batch;
    batch.example_id_T = unit_R;
    batch.attention_offsets = {0, std::ssize(drawn)};
    sink_->expect(batch);
    sink_->end();
    if (number_ == 0 || !options_.reuses_noise) ++number_;
    PrivateNoise noise([&](const Step&) {
      return PrivateNoise::Draw{key_, number_, 0, options_.deviation};
    });
    MetricsRow row;
    noise.apply(context_, {}, gradients_, row);
    const auto* first = gradients_.entries[0].gradient.const_data_ptr<double>();
    return {first, first + kCanaries};
  }

  /// Lower bound on epsilon: the canaries with the highest scores are guessed to be in, those with
  /// the lowest to be out.
  double epsilon(const std::vector<double>& score, std::int64_t in, std::int64_t out) const {
    Numbers order = numbers_below(kCanaries);
    std::stable_sort(order.begin(), order.end(), [&](std::int64_t a, std::int64_t b) {
      return score[static_cast<std::size_t>(a)] > score[static_cast<std::size_t>(b)];
    });
    accounting::AuditCount count{kCanaries, in + out, 0};
    count.correct +=
        std::count_if(order.begin(), order.begin() + in, [&](std::int64_t c) { return is_in(c); });
    count.correct +=
        std::count_if(order.end() - out, order.end(), [&](std::int64_t c) { return !is_in(c); });
    return accounting::audit_epsilon(count, kDelta);
  }

  static Numbers numbers_below(std::int64_t count) {
    Numbers numbers(static_cast<std::size_t>(count));
    std::iota(numbers.begin(), numbers.end(), std::int64_t{0});
    return numbers;
  }

 private:
  bool is_in(std::int64_t canary) const { return is_in_[static_cast<std::size_t>(canary)]; }

  void hand_over(const Numbers& units, const at::Tensor& unit_R) {
    const at::Tensor gradient = at::zeros({std::ssize(units), kCanaries}, at::kDouble);
    auto* value = gradient.mutable_data_ptr<double>();
    for (std::size_t i = 0; i < units.size(); ++i)
      value[static_cast<std::int64_t>(i) * kCanaries + units[i]] = kLength;
    sink_->open(set_[0]);
    sink_->add({.kind = ParameterUse::Kind::kBias,
                .parameter = set_[0],
                .input = {},
                .output_gradient = gradient,
                .example_R = unit_R});
    sink_->close(set_[0], {});
  }

  Options options_;
  SecretKey key_;
  std::uint64_t number_ = 0;
  RankContext context_ = RankContext::single();
  ParameterSet set_{{test::parameter_of("w", at::zeros({kCanaries}, at::kDouble))}};
  std::vector<bool> is_in_;
  Gradients gradients_;
  std::unique_ptr<ClippingSink> sink_;
};

/// Of one step with all units.
double audit(const AuditedRun::Options& options, std::uint64_t seed) {
  AuditedRun run(options, seed);
  return run.epsilon(run.release(AuditedRun::numbers_below(kCanaries)), 100, 100);
}

constexpr double kNoise = 4;

TEST(AuditFaults, TheBoundIsBelowTheClaimInTwentyCorrectRuns) {
  const double epsilon = claimed(kNoise, 1, 1);
  for (std::uint64_t seed = 1; seed <= 20; ++seed)
    EXPECT_LE(audit({.deviation = kNoise}, seed), epsilon) << seed;
}

TEST(AuditFaults, NoNoise) { EXPECT_GT(audit({.deviation = 0}, 1), claimed(kNoise, 1, 1)); }

TEST(AuditFaults, NoiseOverTheRanks) {
  constexpr double kRanks = 4;
  EXPECT_GT(audit({.deviation = kNoise / kRanks}, 1), claimed(kNoise, 1, 1));
}

TEST(AuditFaults, NoClipping) {
  const ClippingRule none = {Clipping::kNone, 0};
  EXPECT_GT(audit({.deviation = kNoise, .rule = none}, 1), claimed(kNoise, 1, 1));
}

// What two steps differ by has no noise left. Steps of draws, so that they differ.
double audit_of_difference(bool reuses_noise) {
  AuditedRun run({.deviation = kNoise, .reuses_noise = reuses_noise}, 1);
  const UnitDraws draws({.units = kCanaries, .rate = 0.5, .slots = kCanaries},
                        SecretKey::from_seed(2));
  const std::vector<double> first = run.release(draws.of_step(1));
  std::vector<double> score = run.release(draws.of_step(2));
  for (std::size_t c = 0; c < score.size(); ++c) score[c] = std::abs(score[c] - first[c]);
  return run.epsilon(score, 100, 0);
}

TEST(AuditFaults, NoiseThatIsUsedTwice) {
  EXPECT_LE(audit_of_difference(false), claimed(kNoise, 0.5, 2));
  EXPECT_GT(audit_of_difference(true), claimed(kNoise, 0.5, 2));
}

// Each unit is in one of a hundred batches, and whoever attacks knows in which; that is claimed to
// cost what draws cost.
TEST(AuditFaults, FixedBatchesAccountedAsDraws) {
  constexpr std::int64_t kSteps = 100;
  constexpr double kLittle = 1.2;
  const double epsilon = claimed(kLittle, 1.0 / kSteps, kSteps);
  const UnitDraws draws({.units = kCanaries, .rate = 1.0 / kSteps, .slots = kCanaries},
                        SecretKey::from_seed(2));
  AuditedRun drawn({.deviation = kLittle}, 1), fixed({.deviation = kLittle}, 1);
  std::vector<double> sum(kCanaries), own(kCanaries);
  for (std::int64_t step = 0; step < kSteps; ++step) {
    const std::vector<double> of_draw = drawn.release(draws.of_step(step));
    for (std::size_t c = 0; c < sum.size(); ++c) sum[c] += of_draw[c];
    Numbers batch;
    for (std::int64_t c = step; c < kCanaries; c += kSteps) batch.push_back(c);
    const std::vector<double> of_batch = fixed.release(batch);
    for (const std::int64_t c : batch)
      own[static_cast<std::size_t>(c)] = of_batch[static_cast<std::size_t>(c)];
  }
  EXPECT_LE(drawn.epsilon(sum, 100, 100), epsilon);
  EXPECT_GT(fixed.epsilon(own, 100, 100), epsilon);
}

}  // namespace
}  // namespace moesaic
