// How often a MoE layer asks a device for a value, which makes the host wait for all the work that
// the device has. The meta device stands in for it: it computes shapes alone, and whoever asks for
// a value gets an exception.
#include <ATen/ops/empty.h>
#include <ATen/ops/ones.h>
#include <gtest/gtest.h>
#include <torch/library.h>

#include "moe/dispatcher.h"
#include "moe/routing_stats.h"
#include "nn/swiglu.h"
#include "support/capture_sink.h"

namespace moesaic {
namespace {

// What LibTorch itself does not know of the meta device.
at::Tensor select(const at::Tensor& from, std::int64_t dim, const at::Tensor& index) {
  std::vector<std::int64_t> shape = from.sizes().vec();
  shape.at(static_cast<std::size_t>(dim)) = index.numel();
  return at::empty(shape, from.options());
}
TORCH_LIBRARY_IMPL(aten, Meta, library) { library.impl("index_select", select); }

constexpr std::int64_t kExperts = 6, kChosen = 2, kWidth = 8, kTokens = 11;

struct OnMeta : test::Fixture {
  Batch here = to_device(batch, at::kMeta);
  ForwardContext pass = on_meta();

  ForwardContext on_meta() {
    ForwardContext forward = computation.forward(here);
    forward.sink = &sink;
    forward.training = true;
    return forward;
  }
  at::Tensor rows() const { return at::empty({kTokens, kWidth}, options()); }
  static at::TensorOptions options() { return at::TensorOptions(at::kMeta).dtype(at::kDouble); }

  /// Router, way to the experts and home, forward and backward; the experts multiply by one.
  void layer(const Router::Options& router_options) {
    const Parameter& weight = parameter(at::empty({router_options.columns(), kWidth}, options()));
    const Router router(router_options, Linear(weight));
    const at::Tensor x = rows().set_requires_grad(true);
    const Routing routing = router.route(pass, x);
    const Dispatched tokens = local_dispatcher(kExperts)->dispatch(pass, x, routing);
    const at::Tensor result = weighted_swiglu(tokens.rows_RD, tokens.rows_RD, tokens.weight_R);
    const at::Tensor y = tokens.combine(result)();
    EXPECT_EQ(tokens.groups.offsets.groups(), kExperts);
    y.backward(at::ones(y.sizes(), y.options()));
    EXPECT_TRUE(x.grad().defined());
    RoutingStats stats;
    stats.add({routing.record});
    stats.add({routing.record});
  }
};

TEST(HostRoundTrips, AreNoneWhereEveryChoiceGoesToAnExpert) {
  const Router::Options options{.num_experts = kExperts, .num_experts_per_tok = kChosen};
  EXPECT_NO_THROW(OnMeta().layer(options));
  Router::Options other = options;
  other.norm_topk_prob = true;
  other.scoring = Router::Scoring::kSigmoid;
  other.n_group = 3, other.topk_group = 2;
  EXPECT_NO_THROW(OnMeta().layer(other));
}

TEST(HostRoundTrips, AreNeededWhereChoicesGoNowhere) {
  Router::Options options{.num_experts = kExperts, .num_experts_per_tok = kChosen};
  options.router_top_p = 0.5;
  EXPECT_ANY_THROW(OnMeta().layer(options));
  options.router_top_p = 0;
  options.training.capacity.factor = 1;
  EXPECT_ANY_THROW(OnMeta().layer(options));
}

}  // namespace
}  // namespace moesaic
