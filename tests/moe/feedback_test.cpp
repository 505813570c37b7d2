#include "moe/feedback.h"

#include <ATen/ops/allclose.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <random>

#include "parallel/rank_context.h"

namespace moesaic {
namespace {

TEST(BiasBalance, FollowsTheRuleForTwentySteps) {
  constexpr int kLayers = 2, kExperts = 5;
  constexpr double kSpeed = 0.001;
  const RankContext context = RankContext::single();
  std::vector<at::Tensor> biases;
  std::vector<std::vector<double>> wanted(kLayers, std::vector<double>(kExperts, 0.0));
  for (int layer = 0; layer < kLayers; ++layer)
    biases.push_back(at::zeros({kExperts}, at::kDouble));
  RoutingStats routing;
  BiasBalance balance(routing, biases, kSpeed);
  std::mt19937 draw(3);
  for (int step = 0; step < 20; ++step) {
    const auto count = at::zeros({kLayers, kExperts}, at::kLong);
    for (int layer = 0; layer < kLayers; ++layer) {
      double mean = 0;
      std::vector<int> row;
      for (int e = 0; e < kExperts; ++e) {
        row.push_back(static_cast<int>(draw() % 7));
        mean += row.back() / static_cast<double>(kExperts);
        count[layer][e].fill_(row.back());
      }
      for (int e = 0; e < kExperts; ++e) {
        const double error = mean - row[static_cast<std::size_t>(e)];
        if (std::abs(error) > 1e-12)
          wanted[static_cast<std::size_t>(layer)][static_cast<std::size_t>(e)] +=
              error > 0 ? kSpeed : -kSpeed;
      }
    }
    routing = {};
    std::vector<RouterRecord> records(kLayers);
    for (int layer = 0; layer < kLayers; ++layer) {
      RouterRecord& record = records[static_cast<std::size_t>(layer)];
      record.count_E = count[layer];
      record.selected_TK = at::zeros({1, 1}, at::kLong);
      record.num_experts = kExperts;
    }
    routing.add(records);
    balance.after(context, {});
  }
  for (std::size_t layer = 0; layer < kLayers; ++layer)
    EXPECT_TRUE(at::allclose(biases[layer], at::tensor(wanted[layer], at::kDouble), 1e-12, 1e-15));
}

TEST(ExpertAverages, MovesTowardsTheMeanAndKeepsThatOfAnExpertWithoutTokens) {
  const RankContext context = RankContext::single();
  const auto average = at::tensor({1., 1., 2., 2.}, at::kDouble).view({1, 2, 2});
  ExpertAverages averages(average, at::arange(2, at::kLong).unsqueeze(0), 0.75);
  RouterRecord record;
  record.output_sum = at::tensor({6., 3., 3., 0., 0., 0.}, at::kDouble).view({2, 3});
  const ModelOutput output{.hidden_TD = {}, .routers = {record}};
  averages.after_forward(output);
  averages.after_forward(output);  // means (2, 1) over six rows of the first expert
  averages.after(context, {});
  EXPECT_TRUE(at::allclose(average.flatten(), at::tensor({1.25, 1., 2., 2.}, at::kDouble)));
}

}  // namespace
}  // namespace moesaic
