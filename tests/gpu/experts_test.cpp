// Layers with experts on a device against the CPU: routing, the way of rows and back, losses of the
// routers.
#include <ATen/ops/arange.h>
#include <ATen/ops/eye.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/tensor.h>

#include "gpu/device_test.h"
#include "loss/balance.h"
#include "moe/capacity.h"
#include "moe/moe_layer.h"
#include "moe/permute.h"
#include "moe/routing_stats.h"

namespace moesaic::test {
namespace {

constexpr std::int64_t kExperts = 8, kChosen = 2, kWidth = 16, kInner = 24;

// Values far enough apart that rounding makes no other choice.
at::Tensor distinct(std::int64_t rows, std::int64_t columns) {
  const auto t = at::arange(rows, at::kFloat).unsqueeze(1), e = at::arange(columns, at::kFloat);
  return t.mul(37).add(e.mul(101)).fmod(columns * 8 + 5).div(16).sub(2);
}

class Experts : public DeviceTest {
 protected:
  Batch batch = batch_of({3, 1, 7}, 11);
  std::int64_t tokens = batch.tokens();
  at::Tensor x = at::randn({tokens, kWidth});
  // The router's logits are the first columns of x.
  at::Tensor router_ED = at::eye(kExperts, kWidth);
  at::Tensor gate_eFD = at::randn({kExperts, kInner, kWidth}).div(4),
             up_eFD = at::randn({kExperts, kInner, kWidth}).div(4),
             down_eDF = at::randn({kExperts, kWidth, kInner}).div(4);

  void SetUp() override {
    DeviceTest::SetUp();
    x.narrow(1, 0, kExperts).copy_(distinct(tokens, kExperts));
  }

  Router::Options options() const {
    return {.num_experts = kExperts, .num_experts_per_tok = kChosen};
  }

  void check(const Router::Options& router_options,
             const std::function<std::unique_ptr<TokenDispatcher>(at::Device)>& dispatcher,
             bool training = true) {
    compare(device(), batch, [&](Bench& b, at::ScalarType dtype) -> Tensors {
      b.context.training = training;
      const auto columns = router_options.columns();
      const MoeLayer layer(
          Router(router_options, Linear(b.parameter(at::eye(columns, kWidth)))),
          dispatcher(b.batch().ids_T.device()),
          GroupedExperts(GroupedLinear(b.parameter(gate_eFD)), GroupedLinear(b.parameter(up_eFD)),
                         GroupedLinear(b.parameter(down_eDF))),
          std::nullopt);
      std::vector<RouterRecord> records;
      const at::Tensor y = layer.forward(b.context, b.input(x.to(dtype)), records);
      RoutingStats stats;
      stats.add(records);
      stats.reduce(b.context.world);
      return {y,
              records[0].probabilities_TE,
              records[0].selected_TK,
              records[0].count_E,
              at::tensor(stats.loads()[0]),
              at::tensor(stats.dropped_fraction())};
    });
  }
  void check(const Router::Options& router_options) {
    check(router_options, [](at::Device) { return local_dispatcher(kExperts); });
  }
};

TEST_F(Experts, TopKOfSoftmax) {
  check(options());
  Router::Options normed = options();
  normed.norm_topk_prob = true;
  check(normed);
}

TEST_F(Experts, SigmoidScoresFromTheBestGroups) {
  Router::Options o = options();
  o.scoring = Router::Scoring::kSigmoid;
  o.norm_topk_prob = true;
  o.n_group = 4, o.topk_group = 2, o.group_score_top = 2;
  o.scaling_factor = 2.5;
  check(o);
}

TEST_F(Experts, CapacityWithAndWithoutPadding) {
  for (const bool pad : {false, true}) {
    for (const bool by_position : {false, true}) {
      Router::Options o = options();
      o.training.capacity = {.factor = 0.8, .by_position = by_position, .pad = pad};
      check(o);
    }
  }
}

TEST_F(Experts, ChoicesThatGoNowhere) {
  Router::Options threshold = options();
  threshold.router_top_p = 0.6;
  check(threshold);
  Router::Options identity = options();
  identity.zero_expert_num = 2;
  check(identity);
}

TEST_F(Experts, GateGradients) {
  for (const auto gradient : {GateGradient::kDenseMixer, GateGradient::kSparseMixer}) {
    Router::Options o = options();
    o.training.gate_gradient = gradient;
    o.training.seed = 3;
    check(o);
  }
}

TEST_F(Experts, JitterIsTheSameOnEveryDevice) {
  Router::Options o = options();
  o.training.jitter_noise = 0.01;
  check(o);
}

TEST_F(Experts, AllToAllWithItself) {
  check(options(), [](at::Device device) {
    const auto slot_E = at::arange(kExperts - 1, -1, -1, at::kLong).to(device);
    return all_to_all_dispatcher(slot_E, Communicator::single());
  });
}

TEST_F(Experts, BalanceLosses) {
  const std::vector<std::function<std::unique_ptr<LossTerm>()>> terms = {
      [] { return std::make_unique<SwitchBalance>(0.5); },
      [] { return std::make_unique<GshardBalance>(0.5); },
      [] { return std::make_unique<SequenceBalance>(0.5); },
      [] { return std::make_unique<GlobalBalance>(0.5); },
      [] { return std::make_unique<TransformersBalance>(0.5); },
      [] { return std::make_unique<RouterZ>(0.5); },
      [] { return std::make_unique<RouterEntropy>(0.5); }};
  for (const auto& make : terms) {
    compare(device(), batch, [&](Bench& b, at::ScalarType) -> Tensors {
      const Parameter& weight = b.parameter(router_ED);
      const Router router(options(), Linear(weight));
      const at::Tensor in = b.input(x);
      ModelOutput output{.hidden_TD = in, .routers = {router.route(b.context, in).record}};
      const Linear head(weight);
      const TermValue value = make()->evaluate({b.context, output, head, {tokens, tokens, 1, 3}});
      return {value.loss, at::tensor(value.metric)};
    });
  }
}

}  // namespace
}  // namespace moesaic::test
