// Importances over all layouts against examples that go through the model one at a time on one
// process: the gradient of an example is squared as a whole, wherever its rows are.
#include <ATen/ops/allclose.h>
#include <gtest/gtest.h>

#include "support/mpi_test.h"
#include "support/tiny_fisher.h"

namespace moesaic {
namespace {

constexpr std::int64_t kExamples = 11;  // no multiple of micro-batches and ranks
constexpr double kMtp = 0.4;

FisherRequest request_of(FisherLabels labels) {
  return {.labels = labels, .examples = kExamples, .mtp_coefficient = kMtp, .seed = 3};
}

/// `expected`, by parameter: of all rows.
void expect_equal(const test::FisherRun& run, const FisherEstimate& estimate,
                  const std::vector<at::Tensor>& expected, const std::string& what) {
  EXPECT_EQ(estimate.examples, kExamples) << what;
  for (const Parameter& p : run.parameters) {
    if (!p.trainable) continue;
    const auto i = static_cast<std::size_t>(p.index);
    EXPECT_TRUE(
        at::allclose(estimate.importance[i].fisher, test::own_rows(p, expected[i]), 1e-8, 1e-14))
        << what << ": " << p.name;
  }
}

TEST(Fisher, IsThatOfSingleExamplesOnEveryLayout) {
  for (const arch::Options& arch :
       {test::fisher_arch("llama", {{"tie_word_embeddings", true}}), test::fisher_arch("olmoe"),
        test::fisher_arch("deepseek_v3", {{"num_nextn_predict_layers", 1}})}) {
    test::OneByOne alone(arch, kMtp);
    for (std::int64_t n = 0; n < kExamples; ++n) alone.add(test::example_batch(n));
    std::vector<at::Tensor> expected;
    for (const at::Tensor& squares : alone.squares) expected.push_back(squares.div(kExamples));
    for (const int expert : test::expert_sizes()) {
      if (arch.num_experts == 0 && expert > 1) continue;
      const Communicator world = test::world();
      const RankContext context =
          RankContext::make(world, Plan::make(world.size(), expert, arch.num_experts), Log());
      const std::string what = format("{}, expert groups of {}", arch.model_type, expert);
      for (const std::int64_t micro_batch_size : {1, 3}) {
        const test::ExampleData data(micro_batch_size);
        const test::FisherRun kept(context, arch);
        expect_equal(kept, kept.estimate(data, request_of(FisherLabels::kEmpirical)), expected,
                     what);
      }
      const test::FisherRun again(context, arch, recompute_activations);
      expect_equal(again,
                   again.estimate(test::ExampleData(2), request_of(FisherLabels::kEmpirical)),
                   expected, what + ", computed again");
    }
  }
}

// Also the mean of an expert over its own examples, which ranks count together.
TEST(Fisher, OfSampledLabelsIsTheSameOnEveryLayout) {
  const arch::Options arch = test::fisher_arch("olmoe");
  FisherRequest request = request_of(FisherLabels::kSampled);
  request.routing_aware = true;
  const RankContext single = RankContext::single();
  const test::FisherRun alone(single, arch);
  const FisherEstimate expected = alone.estimate(test::ExampleData(6), request);
  std::vector<at::Tensor> fisher;
  for (const ParameterImportance& p : expected.importance) fisher.push_back(p.fisher);
  for (const int expert : test::expert_sizes()) {
    const RankContext context = test::context(expert);
    const test::FisherRun run(context, arch);
    for (const std::int64_t micro_batch_size : {1, 2}) {
      expect_equal(run, run.estimate(test::ExampleData(micro_batch_size), request), fisher,
                   format("expert groups of {}", expert));
    }
  }
}

}  // namespace
}  // namespace moesaic
