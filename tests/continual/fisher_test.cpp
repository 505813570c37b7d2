// Importances from one backward pass of a batch against examples that go through the model one at a
// time, and against what is known in closed form of softmax regression.
#include "continual/fisher.h"

#include <ATen/ops/allclose.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/linspace.h>
#include <ATen/ops/softmax.h>
#include <gtest/gtest.h>

#include "config/lora_targets.h"
#include "nn/token_uniform.h"
#include "support/temporary_folder.h"
#include "support/tiny_fisher.h"
#include "support/tiny_lora.h"

namespace moesaic {
namespace {

using test::ExampleData;
using test::FisherRun;
using test::OneByOne;

constexpr double kMtp = 0.4;

FisherRequest request_of(FisherLabels labels, std::int64_t examples) {
  return {.labels = labels, .examples = examples, .mtp_coefficient = kMtp, .seed = 3};
}

void expect_means(const FisherRun& run, const FisherEstimate& estimate, const OneByOne& alone,
                  std::int64_t examples, const std::string& what) {
  EXPECT_EQ(estimate.examples, examples) << what;
  for (const Parameter& p : run.parameters) {
    const auto i = static_cast<std::size_t>(p.index);
    ASSERT_EQ(estimate.importance[i].fisher.defined(), p.trainable) << p.name;
    if (!p.trainable) continue;
    const at::Tensor expected = alone.squares[i].div(examples);
    EXPECT_TRUE(at::allclose(estimate.importance[i].fisher, expected, 1e-8, 1e-14))
        << what << ": " << p.name;
    EXPECT_TRUE(at::equal(estimate.importance[i].anchor, p.tensor)) << p.name;
  }
}

TEST(Fisher, OfEveryFamilyIsTheMeanOfTheSquaresOfSingleExamples) {
  const RankContext context = RankContext::single();
  for (const arch::Options& arch : test::fisher_archs()) {
    OneByOne alone(arch, kMtp);
    for (std::int64_t n = 0; n < 8; ++n) alone.add(test::example_batch(n));
    for (const BlockPass pass : {keep_activations, recompute_activations}) {
      const FisherRun run(context, arch, pass);
      for (const std::int64_t micro_batch_size : {1, 2, 3, 6}) {
        const ExampleData data(micro_batch_size);
        const auto estimate = run.estimate(data, request_of(FisherLabels::kEmpirical, 8));
        expect_means(run, estimate, alone, 8,
                     format("{}, micro-batches of {}", arch.model_type, micro_batch_size));
      }
    }
  }
}

/// The batch with labels that the model draws: the least one up to which the probabilities make
/// more than the target's uniform number.
Batch with_drawn_labels(const OneByOne& alone, std::int64_t number, std::uint64_t seed) {
  Batch batch = test::example_batch(number);
  Computation computation{.precision = Precision::named("float64"),
                          .world = Communicator::single()};
  const at::NoGradGuard no_gradients;
  const ForwardContext forward = computation.forward(batch);
  const at::Tensor hidden_TD = alone.model().forward(forward).hidden_TD;
  const at::Tensor logits = hidden_TD.matmul(alone.model().head().weight().tensor.t());
  const at::Tensor p_TV = at::softmax(logits, 1);
  const RandomKey key(seed, RandomStream::kSample, 0, "fisher");
  const at::Tensor uniform = token_uniform(key, batch.place_T, 1);
  for (std::int64_t t = 0; t < batch.tokens(); ++t) {
    if (batch.targets_T[t].item<std::int64_t>() < 0) continue;
    std::int64_t label = 0;
    double sum = p_TV[t][0].item<double>();
    while (sum <= uniform[t][0].item<double>()) sum += p_TV[t][++label].item<double>();
    batch.targets_T[t] = label;
  }
  return batch;
}

TEST(Fisher, OfSampledLabelsIsThatOfTheLabelsThatTheModelDraws) {
  const RankContext context = RankContext::single();
  for (const bool tied : {false, true}) {
    const arch::Options arch = test::fisher_arch("llama", {{"tie_word_embeddings", tied}});
    OneByOne alone(arch, kMtp);
    for (std::int64_t n = 0; n < 8; ++n) alone.add(with_drawn_labels(alone, n, 3));
    const FisherRun run(context, arch);
    for (const std::int64_t micro_batch_size : {1, 3}) {
      const ExampleData data(micro_batch_size);
      expect_means(run, run.estimate(data, request_of(FisherLabels::kSampled, 8)), alone, 8,
                   "sampled");
    }
  }
}

TEST(Fisher, ThatKnowsOfRoutingIsTheMeanOverTheExamplesThatReachedAnExpert) {
  const RankContext context = RankContext::single();
  const arch::Options arch = test::fisher_arch("olmoe");
  OneByOne alone(arch, 0);
  for (std::int64_t n = 0; n < 3; ++n) alone.add(test::example_batch(n));
  const FisherRun run(context, arch);
  FisherRequest request = request_of(FisherLabels::kEmpirical, 3);
  request.routing_aware = true;
  const FisherEstimate estimate = run.estimate(ExampleData(2), request);
  bool differ = false;
  for (const Parameter& p : run.parameters) {
    if (p.scope != Scope::kExpert) continue;
    const auto i = static_cast<std::size_t>(p.index);
    const at::Tensor reached = alone.examples[i].clamp_min(1).to(at::kDouble).view({-1, 1, 1});
    EXPECT_TRUE(
        at::allclose(estimate.importance[i].fisher, alone.squares[i].div(reached), 1e-8, 1e-14))
        << p.name;
    differ = differ || reached.min().item<double>() < 3;
  }
  EXPECT_TRUE(differ);  // else the test shows nothing
}

class FisherUnderAdapters : public ::testing::TestWithParam<const char*> {};

TEST_P(FisherUnderAdapters, IsThatOfTheMergedWeights) {
  const RankContext context = RankContext::single();
  const arch::Options arch = test::fisher_arch("olmoe");
  LoraOptions lora;
  lora.r = 2;
  lora.base = GetParam();
  const test::TinyAdapters adapters = test::tiny_lora(lora, arch);
  const ParameterSet trained = test::parameters_of(adapters.table, context);
  const ParameterSet full = in_full(trained);
  const auto factory = adapters.make(full);
  const Transformer model({.arch = arch, .adapters = factory.get()}, full, context);
  const FisherRequest request = request_of(FisherLabels::kEmpirical, 5);
  const FisherEstimate estimate =
      estimate_fisher({model, full, Precision::named("float64")}, ExampleData(3), request, context);

  FisherRun merged(context, arch);
  for (const Parameter& p : merged.parameters) {
    const Parameter& own = *trained.find(p.name);
    if (own.storage == arch::Storage::kMaster) p.tensor.copy_(own.tensor);
    for (std::int64_t i = 0; own.storage != arch::Storage::kMaster && i < own.matrices(); ++i)
      p.matrix(i, at::kDouble).copy_(own.matrix(i, at::kDouble));
    const Parameter* a = trained.find(lora_a_name(p.name));
    if (a == nullptr) continue;
    const double scale = lora.lora_alpha / static_cast<double>(lora.r);
    p.tensor.add_(trained.find(lora_b_name(p.name))->tensor.matmul(a->tensor), scale);
  }
  const FisherEstimate expected = merged.estimate(ExampleData(3), request);
  for (const Parameter& p : merged.parameters) {
    const Parameter& there = *full.find(p.name);
    const at::Tensor& fisher = estimate.importance[static_cast<std::size_t>(there.index)].fisher;
    EXPECT_TRUE(at::allclose(fisher, expected.importance[static_cast<std::size_t>(p.index)].fisher,
                             1e-8, 1e-14))
        << p.name;
  }
  for (const Parameter& p : full) {
    if (!p.adapter) continue;
    EXPECT_FALSE(estimate.importance[static_cast<std::size_t>(p.index)].fisher.defined());
  }
}
INSTANTIATE_TEST_SUITE_P(Bases, FisherUnderAdapters,
                         ::testing::Values("master", "bfloat16", "int8", "nf4"));

/// y = W x + b, whose importances are known in closed form.
class Regression : public Model {
 public:
  Regression(const Parameter& weight, const Parameter& bias) : head_(weight, &bias) {}
  ModelOutput forward(const ForwardContext& context) const override {
    ModelOutput output;
    output.hidden_TD = context.batch.features_TF;
    return output;
  }
  const Linear& head() const override { return head_; }

 private:
  Linear head_;
};

class RegressionData : public StepData {
 public:
  RegressionData(at::Tensor x_NK, at::Tensor label_N, std::int64_t micro_batch_size)
      : x_NK_(std::move(x_NK)), label_N_(std::move(label_N)), size_(micro_batch_size) {}
  StepSize size(std::int64_t) const override { return {.micro_batches = x_NK_.size(0) / size_}; }
  Batch micro_batch(std::int64_t, std::int64_t index) const override {
    const std::int64_t first = index * size_;
    Batch batch;
    batch.example_id_T = at::arange(first, first + size_, at::kLong);
    batch.place_T = batch.example_id_T.bitwise_left_shift(kPlaceBits);
    batch.positions_T = at::zeros({size_}, at::kLong);
    batch.targets_T = label_N_.narrow(0, first, size_);
    batch.features_TF = x_NK_.narrow(0, first, size_);
    for (std::int64_t row = 1; row <= size_; ++row) {
      batch.attention_offsets.push_back(row);
      batch.document_offsets.push_back(row);
    }
    return batch;
  }

 private:
  at::Tensor x_NK_, label_N_;
  std::int64_t size_;
};

struct SoftmaxRegression : ::testing::Test {
  static constexpr std::int64_t kLabels = 4, kInputs = 3, kExamples = 12;
  at::Tensor x_NK = at::linspace(-1, 2, kExamples* kInputs, at::kDouble).sin().view({-1, kInputs});
  at::Tensor label_N = at::arange(kExamples, at::kLong).remainder(kLabels);
  ParameterSet parameters{
      {test::parameter_of(
           "w", at::linspace(-2, 1, kLabels* kInputs, at::kDouble).cos().view({kLabels, kInputs})),
       test::parameter_of("b", at::linspace(-1, 1, kLabels, at::kDouble))}};
  Regression model{parameters[0], parameters[1]};
  at::Tensor logits_NC = x_NK.matmul(parameters[0].tensor.t()).add(parameters[1].tensor);
  at::Tensor p_NC = at::softmax(logits_NC, 1);

  Importance importance(FisherLabels labels, std::int64_t micro_batch_size) const {
    return estimate_fisher({model, parameters, Precision::named("float64")},
                           RegressionData(x_NK, label_N, micro_batch_size),
                           {.labels = labels, .examples = kExamples}, RankContext::single())
        .importance;
  }
  /// The gradient of the data's labels' loss with respect to the logits.
  at::Tensor residual() const {
    return p_NC.sub(at::arange(kLabels).unsqueeze(0).eq(label_N.unsqueeze(1)).to(at::kDouble));
  }
};

// E_y (p_c - [y = c])^2 = p_c (1 - p_c).
TEST_F(SoftmaxRegression, HasTheExactFisherInformation) {
  const at::Tensor of_logits = p_NC.mul(p_NC.neg().add(1));
  for (const std::int64_t size : {1, 4, 12}) {
    const Importance exact = importance(FisherLabels::kExact, size);
    const at::Tensor w = of_logits.t().matmul(x_NK.square()).div(kExamples);
    EXPECT_TRUE(at::allclose(exact[0].fisher, w, 1e-10, 1e-14));
    EXPECT_TRUE(at::allclose(exact[1].fisher, of_logits.mean(0), 1e-10, 1e-14));
  }
}

TEST_F(SoftmaxRegression, HasTheEmpiricalFisherInformation) {
  const at::Tensor w = residual().square().t().matmul(x_NK.square()).div(kExamples);
  const Importance empirical = importance(FisherLabels::kEmpirical, 6);
  EXPECT_TRUE(at::allclose(empirical[0].fisher, w, 1e-10, 1e-14));
  EXPECT_TRUE(at::allclose(empirical[1].fisher, residual().square().mean(0), 1e-10, 1e-14));
}

TEST_F(SoftmaxRegression, HasTheSquaresOfTheMeansOfMicroBatches) {
  at::Tensor w = at::zeros({kLabels, kInputs}, at::kDouble);
  for (std::int64_t first = 0; first < kExamples; first += 4) {
    const at::Tensor dy = residual().narrow(0, first, 4);
    w.add_(dy.t().matmul(x_NK.narrow(0, first, 4)).div(4).square().div(3));
  }
  EXPECT_TRUE(at::allclose(importance(FisherLabels::kBatched, 4)[0].fisher, w, 1e-10, 1e-14));
}

// d |y|^2 / dW = 2 y x^T.
TEST_F(SoftmaxRegression, HasTheSensitivityOfItsOutputs) {
  const at::Tensor w = logits_NC.abs().mul(2).t().matmul(x_NK.abs()).div(kExamples);
  const Importance mas = importance(FisherLabels::kOutputNorm, 4);
  EXPECT_TRUE(at::allclose(mas[0].fisher, w, 1e-10, 1e-14));
  EXPECT_TRUE(at::allclose(mas[1].fisher, logits_NC.abs().mul(2).mean(0), 1e-10, 1e-14));
}

// The same example many times: the mean over drawn labels comes near that over all labels.
TEST_F(SoftmaxRegression, SampledLabelsHaveTheProbabilitiesOfTheModel) {
  constexpr std::int64_t kMany = 20'000;
  const at::Tensor same = x_NK.narrow(0, 5, 1).expand({kMany, kInputs}).contiguous();
  const RegressionData data(same, at::zeros({kMany}, at::kLong), 4'000);
  const Importance sampled =
      estimate_fisher({model, parameters, Precision::named("float64")}, data,
                      {.labels = FisherLabels::kSampled, .examples = kMany, .seed = 9},
                      RankContext::single())
          .importance;
  const at::Tensor p = p_NC[5];
  EXPECT_TRUE(at::allclose(sampled[1].fisher, p.mul(p.neg().add(1)), 0.05, 0.003));
}

TEST(Fisher, RefusesWhatTheDataDoNotAllow) {
  const RankContext context = RankContext::single();
  const FisherRun run(context, test::fisher_arch("llama"));
  testing::expect_error(ErrorKind::kRecipe, "'exact' are for classifiers",
                        [&] { run.estimate(ExampleData(2), request_of(FisherLabels::kExact, 4)); });
  FisherRequest none = request_of(FisherLabels::kEmpirical, 4);
  none.sequences = 0;
  testing::expect_error(ErrorKind::kData, "has no target",
                        [&] { run.estimate(ExampleData(2), none); });
  run.parameters.find("lm_head.weight")->tensor.mul_(1e200);
  testing::expect_error(ErrorKind::kRecipe, "is not finite", [&] {
    run.estimate(ExampleData(2), request_of(FisherLabels::kEmpirical, 4));
  });
}

}  // namespace
}  // namespace moesaic
