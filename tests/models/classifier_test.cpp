#include "models/classifier.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/allclose.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/nll_loss.h>
#include <ATen/ops/rand.h>
#include <ATen/ops/relu.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <string>

#include "core/error.h"
#include "loss/cross_entropy.h"
#include "models/make_model.h"
#include "support/capture_sink.h"
#include "support/example_sink.h"

namespace moesaic {
namespace {

constexpr std::int64_t kRows = 6, kWidth = 5, kLabels = 4;

arch::Options tiny(const std::vector<std::int64_t>& hidden_sizes) {
  return arch::require_options({{"model_type", "mlp"},
                                {"input_size", kWidth},
                                {"hidden_sizes", hidden_sizes},
                                {"num_labels", kLabels}},
                               "tiny");
}

Batch rows_of_features() {
  std::vector<std::int64_t> offsets;
  for (std::int64_t row = 0; row <= kRows; ++row) offsets.push_back(row);
  const at::Tensor example_T = at::arange(kRows, at::kLong);
  return {.ids_T = {},
          .targets_T = at::tensor({0, 3, 1, 1, 2, 0}, at::kLong),
          .positions_T = at::zeros({kRows}, at::kLong),
          .example_id_T = example_T,
          .place_T = example_T.bitwise_left_shift(kPlaceBits),
          .attention_offsets = offsets,
          .document_offsets = offsets,
          .features_TF = at::rand({kRows, kWidth}, at::kDouble)};
}

struct Network {
  explicit Network(const std::vector<std::int64_t>& hidden_sizes)
      : arch(tiny(hidden_sizes)),
        parameters(arch::parameter_table(arch), {.seed = 3, .dtype = at::kDouble}),
        model(arch, nullptr, parameters) {}

  // The loss of the rows; gradients go to `sink`.
  double loss(GradientSink* sink) {
    const at::AutoGradMode mode(sink != nullptr);
    ForwardContext forward = computation.forward(batch);
    forward.sink = sink;
    const ModelOutput output = model.forward(forward);
    const StepView view{forward, output, model.head(), {kRows, kRows, 1}};
    const at::Tensor loss = CrossEntropy().evaluate(view).loss;
    if (sink != nullptr) loss.backward();
    return loss.item<double>();
  }

  arch::Options arch;
  ParameterSet parameters;
  Classifier model;
  Batch batch = rows_of_features();
  Computation computation{.precision = Precision::named("float64"),
                          .world = Communicator::single()};
};

TEST(Classifier, HasTheGradientOfTheSameNetworkInLibTorch) {
  for (const std::vector<std::int64_t>& sizes :
       {std::vector<std::int64_t>{7, 3}, std::vector<std::int64_t>{}}) {
    Network run(sizes);
    test::CaptureSink sink;
    const double loss = run.loss(&sink);
    std::vector<at::Tensor> leaves;
    for (const Parameter& parameter : run.parameters)
      leaves.push_back(parameter.tensor.clone().set_requires_grad(true));
    at::Tensor x = run.batch.features_TF;
    for (std::size_t i = 0; i < leaves.size(); i += 2) {
      if (i > 0) x = at::relu(x);
      x = at::linear(x, leaves[i], leaves[i + 1]);
    }
    const at::Tensor wanted = at::nll_loss(at::log_softmax(x, 1), run.batch.targets_T);
    wanted.backward();
    EXPECT_NEAR(loss, wanted.item<double>(), 1e-12);
    for (std::size_t i = 0; i < leaves.size(); ++i) {
      EXPECT_TRUE(at::allclose(sink.gradients.at(static_cast<std::int64_t>(i)), leaves[i].grad(),
                               1e-10, 1e-14))
          << run.parameters[i].name;
      EXPECT_EQ(sink.open_operations.at(static_cast<std::int64_t>(i)), 0);
    }
  }
}

TEST(Classifier, HasTheGradientOfFiniteDifferences) {
  Network run({7, 3});
  run.batch.allowed_TV = at::rand({kRows, kLabels}, at::kDouble)
                             .gt(0.5)
                             .scatter(1, run.batch.targets_T.unsqueeze(1), true);
  test::CaptureSink sink;
  run.loss(&sink);
  for (const Parameter& parameter : run.parameters) {
    const at::Tensor gradient = sink.gradients.at(parameter.index).flatten();
    double* value = parameter.tensor.mutable_data_ptr<double>();
    for (std::int64_t i = 0; i < parameter.numel(); ++i) {
      value[i] += 1e-6;
      const double above = run.loss(nullptr);
      value[i] -= 2e-6;
      const double below = run.loss(nullptr);
      value[i] += 1e-6;
      EXPECT_NEAR(gradient[i].item<double>(), (above - below) / 2e-6, 1e-8)
          << parameter.name << " element " << i;
    }
  }
}

// Each row says whose it is, in the biases, too: the parts are the gradients of the rows alone.
TEST(Classifier, HandsOverThePartsOfEachExample) {
  Network run({7});
  test::ExampleSink parts;
  run.loss(&parts);
  const Batch whole = run.batch;
  for (std::int64_t row = 0; row < kRows; ++row) {
    run.batch = first_rows(whole, 1);
    run.batch.features_TF = whole.features_TF.narrow(0, row, 1);
    run.batch.targets_T = whole.targets_T.narrow(0, row, 1);
    test::CaptureSink alone;
    run.loss(&alone);
    for (const Parameter& parameter : run.parameters) {
      EXPECT_TRUE(at::allclose(parts.part(row, parameter.index),
                               alone.gradients.at(parameter.index), 1e-10, 1e-14))
          << parameter.name << " row " << row;
    }
  }
}

TEST(Classifier, TakesABatchWithoutRows) {
  Network run({7});
  run.batch = empty_batch();
  test::CaptureSink sink;
  EXPECT_EQ(run.loss(&sink), 0);
  for (const Parameter& parameter : run.parameters)
    EXPECT_EQ(sink.gradients.at(parameter.index).abs().sum().item<double>(), 0) << parameter.name;
}

TEST(Classifier, HasExactlyTheParametersOfItsTable) {
  const arch::Options arch = tiny({7});
  arch::ParameterTable table = arch::parameter_table(arch);
  const RankContext context = RankContext::single();
  const ParameterSet parameters(table, {});
  EXPECT_EQ(make_model({.arch = arch}, parameters, context)->head().weight().name,
            "layers.1.weight");
  table.push_back({.name = "layers.2.weight", .shape = {2, 2}});
  const ParameterSet more(table, {});
  EXPECT_THROW(Classifier(arch, nullptr, more), Error);
  table.erase(table.end() - 2, table.end());
  const ParameterSet fewer(table, {});  // without layers.1.bias: then the layer has none
  EXPECT_EQ(Classifier(arch, nullptr, fewer).head().bias(), nullptr);
}

}  // namespace
}  // namespace moesaic
