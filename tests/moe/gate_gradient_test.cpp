// Gate gradients against a dense computation by the autograd of ATen, in float64.
#include "moe/gate_gradient.h"

#include <ATen/ops/allclose.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/rand.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/sigmoid.h>
#include <ATen/ops/silu.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>
#include <gtest/gtest.h>

#include "moe/gate_probe.h"
#include "moe/moe_layer.h"
#include "nn/token_uniform.h"
#include "support/capture_sink.h"

namespace moesaic {
namespace {

constexpr std::int64_t kTokens = 11, kExperts = 6, kWidth = 4, kInner = 5;

struct Layer : test::Fixture {
  Router::Options options;
  Parameter gate_weight = parameter(at::randn({kExperts, kWidth}, at::kDouble), "router");
  Parameter gate = parameter(at::randn({kExperts, kInner, kWidth}, at::kDouble), "gate");
  Parameter up = parameter(at::randn({kExperts, kInner, kWidth}, at::kDouble), "up");
  Parameter down = parameter(at::randn({kExperts, kWidth, kInner}, at::kDouble), "down");
  at::Tensor x = at::randn({kTokens, kWidth}, at::kDouble);
  at::Tensor delta = at::randn({kTokens, kWidth}, at::kDouble);  // of the layer's output
  at::Tensor average = at::randn({1, kExperts, kWidth}, at::kDouble);
  at::Tensor even = at::zeros({kExperts}, at::kDouble);  // what a balance loss makes of experts
  std::vector<RouterRecord> records;

  explicit Layer(const Router::Options& o) : options(o) {
    options.num_experts = kExperts;
    options.training.expert_average_LED = average;
  }

  at::Tensor run(GateGradient method) {
    sink = {};
    records.clear();
    Router::Options own = options;
    own.training.gate_gradient = method;
    const MoeLayer layer(
        Router(own, Linear(gate_weight)), local_dispatcher(kExperts),
        GroupedExperts(GroupedLinear(gate), GroupedLinear(up), GroupedLinear(down)), std::nullopt);
    const auto input = x.clone().set_requires_grad(true);
    const auto y = layer.forward(context, input, records);
    y.mul(delta).sum().add(records.at(0).probabilities_TE.mul(even).sum()).backward();
    return y.detach();
  }
  at::Tensor gradient(const Parameter& parameter) const {
    return sink.gradients.at(parameter.index);
  }
  at::Tensor router_gradient(GateGradient method) {
    run(method);
    return gradient(gate_weight);
  }

  // <delta, E_j> of every token and expert.
  at::Tensor worth() const {
    std::vector<at::Tensor> columns;
    for (std::int64_t e = 0; e < kExperts; ++e) {
      const auto h = at::silu(x.matmul(gate.tensor[e].t())).mul(x.matmul(up.tensor[e].t()));
      columns.push_back(h.matmul(down.tensor[e].t()).mul(delta).sum(1));
    }
    return at::stack(columns, 1);
  }
  // Gradient of the router's weight when expert j of token t is worth worth_TE.
  at::Tensor brute_force(const at::Tensor& worth_TE) const {
    const auto w = gate_weight.tensor.clone().set_requires_grad(true);
    const auto logits = x.matmul(w.t()).mul(options.logit_scale);
    auto gates =
        options.scoring == Router::Scoring::kSoftmax ? at::softmax(logits, 1) : at::sigmoid(logits);
    if (options.norm_topk_prob) gates = gates.div(gates.sum(1, true));
    gates.mul(options.scaling_factor).mul(worth_TE).sum().backward();
    return w.grad();
  }
  at::Tensor chosen() const {
    return at::zeros_like(records.at(0).logits_TE, at::kBool)
        .scatter_(1, records.at(0).selected_TK, true);
  }
};

std::vector<Router::Options> all_gates() {
  std::vector<Router::Options> gates;
  for (const auto scoring : {Router::Scoring::kSoftmax, Router::Scoring::kSigmoid}) {
    for (const bool norm : {false, true}) {
      for (const std::int64_t k : {1, 2, 3})
        gates.push_back({.num_experts_per_tok = k,
                         .norm_topk_prob = norm,
                         .logit_scale = k == 2 ? 0.3 : 1.0,
                         .scoring = scoring,
                         .scaling_factor = 2.5});
    }
  }
  return gates;
}

TEST(GateGradient, DenseMixerIsTheGradientOfAllExperts) {
  for (const auto& gates : all_gates()) {
    Layer layer(gates);
    const auto got = layer.router_gradient(GateGradient::kDenseMixer);
    EXPECT_TRUE(at::allclose(got, layer.brute_force(layer.worth()), 1e-9, 1e-12));
  }
}

TEST(GateGradient, DefaultMoeTakesTheAveragesForExpertsThatWereNotChosen) {
  for (const auto& gates : all_gates()) {
    Layer layer(gates);
    const auto got = layer.router_gradient(GateGradient::kDefaultMoe);
    const auto by_average = layer.delta.matmul(layer.average[0].t());
    const auto worth = layer.worth().where(layer.chosen(), by_average);
    EXPECT_TRUE(at::allclose(got, layer.brute_force(worth), 1e-9, 1e-12));
  }
}

TEST(GateGradient, NothingElseChanges) {
  for (const auto& gates : all_gates()) {
    Layer layer(gates);
    const auto wanted = layer.run(GateGradient::kTopK);
    const auto down = layer.gradient(layer.down), up = layer.gradient(layer.up);
    for (const auto method : {GateGradient::kDefaultMoe, GateGradient::kDenseMixer}) {
      EXPECT_TRUE(at::allclose(layer.run(method), wanted, 1e-12, 1e-12));
      EXPECT_TRUE(at::allclose(layer.gradient(layer.down), down, 1e-10, 1e-12));
      EXPECT_TRUE(at::allclose(layer.gradient(layer.up), up, 1e-10, 1e-12));
    }
  }
}

TEST(GateGradient, OfOneRenormalisedChoiceIsNothingForTopKAlone) {
  Layer layer({.num_experts_per_tok = 1, .norm_topk_prob = true});
  layer.options.training.sparse_mixer_eps = 0.5;
  const auto norm = [&](GateGradient method) {
    return layer.router_gradient(method).norm().item<double>();
  };
  EXPECT_LT(norm(GateGradient::kTopK), 1e-13);
  EXPECT_GT(norm(GateGradient::kDefaultMoe), 0.1);
  EXPECT_GT(norm(GateGradient::kDenseMixer), 0.1);
  EXPECT_GT(norm(GateGradient::kSparseMixer), 0.1);
}

TEST(GateGradient, DefaultMoeSumsWhatTheExpertsPutOut) {
  Layer layer({.num_experts_per_tok = 2});
  layer.delta = at::ones({kTokens, kWidth}, at::kDouble);
  layer.run(GateGradient::kDefaultMoe);
  const auto sums = layer.records.at(0).output_sum;
  const auto worth = layer.worth().mul(layer.chosen());
  EXPECT_TRUE(at::allclose(sums.narrow(1, 0, kWidth).sum(1), worth.sum(0), 1e-10, 1e-12));
  EXPECT_TRUE(sums.select(1, kWidth).equal(layer.chosen().sum(0).to(at::kDouble)));
}

TEST(GateProbe, SeesTheTaskGradientAndItsAngleToTheDenseOne) {
  for (const auto& gates : all_gates()) {
    Layer layer(gates);
    for (const auto method :
         {GateGradient::kTopK, GateGradient::kDefaultMoe, GateGradient::kDenseMixer}) {
      const auto plain = layer.router_gradient(method);
      GateProbe probe(
          {.layers = 1, .experts = kExperts, .width = kWidth, .dtype = at::kDouble, .dense = true});
      layer.context.probe = &probe;
      const auto watched = layer.router_gradient(method);
      layer.context.probe = nullptr;
      EXPECT_TRUE(watched.equal(plain));  // looking changes nothing
      EXPECT_NEAR(probe.norms()[0], plain.norm().item<double>(), 1e-9);
      const auto dense = layer.brute_force(layer.worth());
      const double norms = plain.norm().item<double>() * dense.norm().item<double>();
      if (norms > 1e-9)
        EXPECT_NEAR(probe.cosines()[0], plain.mul(dense).sum().item<double>() / norms, 1e-9);
      else
        EXPECT_EQ(probe.norms()[0] < 1e-9, true);
    }
  }
}

TEST(GateProbe, ChangesNoBitBesideABalanceLoss) {
  for (const auto& gates : all_gates()) {
    Layer layer(gates);
    layer.even = at::randn({kExperts}, at::kDouble);
    for (const auto method : {GateGradient::kTopK, GateGradient::kDefaultMoe,
                              GateGradient::kDenseMixer, GateGradient::kSparseMixer}) {
      const auto plain = layer.router_gradient(method);
      GateProbe probe({.layers = 1, .experts = kExperts, .width = kWidth, .dtype = at::kDouble});
      layer.context.probe = &probe;
      EXPECT_TRUE(layer.router_gradient(method).equal(plain));
      layer.context.probe = nullptr;
    }
  }
}

Batch many_tokens(std::int64_t tokens) { return test::batch_of({tokens}, 11); }

TEST(SparseMixer, DrawsFromTheBestByTheirProbabilities) {
  constexpr std::int64_t kMany = 20000;
  // Within 2 eps = 0.4 of the best, relative to it: the first three.
  const auto row = at::tensor({2.0, 1.8, 1.3, 1.0}, at::kDouble);
  const auto logits = row.expand({kMany, 4}).contiguous();
  const RandomKey key(1, RandomStream::kSample, 3, "0");
  const auto draw = draw_experts(logits, 1, 0.2, key, many_tokens(kMany));
  const auto wanted = at::softmax(row.narrow(0, 0, 3), 0);
  for (int e = 0; e < 3; ++e) {
    const double share = draw.selected_TK.eq(e).to(at::kDouble).mean().item<double>();
    EXPECT_NEAR(share, wanted[e].item<double>(), 0.02);
  }
  EXPECT_EQ(draw.selected_TK.eq(3).sum().item<std::int64_t>(), 0);
  const auto whole = draw.scale_TK.eq(1), best = draw.selected_TK.eq(0);
  EXPECT_TRUE(whole.logical_or(best.logical_not()).all().item<bool>());
  const auto others = best.logical_not().to(at::kDouble);
  EXPECT_NEAR(whole.to(at::kDouble).mul(others).sum().div(others.sum()).item<double>(), 0.25, 0.02);
}

TEST(SparseMixer, DrawsDifferentExpertsAndTheSameOnesAgain) {
  const auto logits = at::randn({500, 6}, at::kDouble);
  const RandomKey key(1, RandomStream::kSample, 3, "0");
  const Batch batch = many_tokens(500);
  const auto draw = draw_experts(logits, 3, 0.5, key, batch);
  const auto sorted = std::get<0>(draw.selected_TK.sort(1));
  EXPECT_TRUE(sorted.narrow(1, 1, 2).gt(sorted.narrow(1, 0, 2)).all().item<bool>());
  const auto again = draw_experts(logits, 3, 0.5, key, batch, draw.selected_TK);
  EXPECT_TRUE(again.scale_TK.equal(draw.scale_TK));
  EXPECT_TRUE(again.gates_KTE.equal(draw.gates_KTE));
}

// What a run drew before places were told apart from positions: example 2^40 + position columns.
TEST(TokenUniform, OfOneDocumentAnExampleIsAFunctionOfExampleAndPosition) {
  const RandomKey key(1, RandomStream::kJitter, 3, "0");
  const Batch batch = test::batch_of({2, 3}, 11);
  const auto uniform = token_uniform(key, batch.place_T, 7);
  for (std::int64_t t = 0; t < 5; ++t) {
    const std::int64_t example = t < 2 ? 0 : 1, position = t < 2 ? t : t - 2;
    for (std::int64_t c = 0; c < 7; ++c) {
      const auto element = static_cast<std::uint64_t>((example << 40) + position * 7 + c);
      EXPECT_EQ(uniform[t][c].item<double>(), key.uniform(element));
    }
  }
}

TEST(TokenUniform, DiffersBetweenDocumentsOfOneExample) {
  const RandomKey key(1, RandomStream::kSample, 3, "0");
  const Batch batch = test::batch_of({50, 50}, 11, 0, /*one_example=*/true);
  EXPECT_TRUE(batch.positions_T.narrow(0, 0, 50).equal(batch.positions_T.narrow(0, 50, 50)));
  const auto uniform = token_uniform(key, batch.place_T, 4);
  EXPECT_TRUE(uniform.narrow(0, 0, 50).ne(uniform.narrow(0, 50, 50)).all().item<bool>());
  const auto logits = at::randn({50, 6}, at::kDouble).repeat({2, 1});
  const auto chosen = draw_experts(logits, 1, 0.5, key, batch).selected_TK;
  EXPECT_FALSE(chosen.narrow(0, 0, 50).equal(chosen.narrow(0, 50, 50)));
}

TEST(SparseMixer, GivesTheLogitsTheGradientOfTheDrawnProbability) {
  const auto logits = at::randn({50, 6}, at::kDouble).set_requires_grad(true);
  const RandomKey key(1, RandomStream::kSample, 3, "0");
  const auto draw = draw_experts(logits, 1, 0.5, key, many_tokens(50));
  const auto weight = at::rand({50, 1}, at::kDouble), worth = at::randn({50, 1}, at::kDouble);
  sampled_weights(weight, draw, logits).mul(worth).sum().backward();
  const auto own = logits.detach().clone().set_requires_grad(true);
  const auto left_out = draw.gates_KTE[0].eq(0);
  const auto log_p = at::log_softmax(own.masked_fill(left_out, -1e300), 1);
  log_p.gather(1, draw.selected_TK).mul(weight).mul(worth).sum().backward();
  EXPECT_TRUE(at::allclose(logits.grad(), own.grad(), 1e-10, 1e-12));
}

}  // namespace
}  // namespace moesaic
