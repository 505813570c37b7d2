#include "adapt/expert_scores.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <numeric>

#include "comm/trace_span.h"
#include "core/error.h"

namespace moesaic {
namespace {

constexpr double kGateUnits = 1 << 30;

// int64 [E] of one layer and micro-batch.
at::Tensor layer_scores(const RouterRecord& record, bool by_gate) {
  const std::int64_t all = record.logits_TE.size(1);
  at::Tensor sum_E = at::zeros({all}, record.weight_TK.options().dtype(at::kDouble));
  const at::Tensor chosen = record.selected_TK.ge(0);
  const at::Tensor value =
      by_gate ? record.weight_TK.to(at::kDouble).mul(kGateUnits).round() : chosen.to(at::kDouble);
  sum_E.index_add_(0, record.selected_TK.clamp_min(0).flatten(), value.mul(chosen).flatten());
  return sum_E.to(at::kLong).narrow(0, 0, record.num_experts);
}

at::Tensor batch_scores(const ModelOutput& output, bool by_gate) {
  std::vector<at::Tensor> layers;
  for (const RouterRecord& record : output.routers) layers.push_back(layer_scores(record, by_gate));
  return at::stack(layers);
}

ExpertScores as_lists(const at::Tensor& scores_LE) {
  const at::Tensor host = scores_LE.cpu().contiguous();
  ExpertScores scores;
  for (std::int64_t layer = 0; layer < host.size(0); ++layer) {
    const std::int64_t* first = host.const_data_ptr<std::int64_t>() + layer * host.size(1);
    scores.emplace_back(first, first + host.size(1));
  }
  return scores;
}

}  // namespace

ExpertScores score_experts(const EsftOptions& esft, std::int64_t max_steps, const Model& model,
                           Computation& computation, const StepData& data,
                           const RankContext& context) {
  const at::NoGradGuard no_gradients;
  const Span span("expert scores");
  at::Tensor scores_LE;
  std::int64_t tokens = 0;
  for (std::int64_t step = 0; step < max_steps && tokens < esft.sample_tokens; ++step) {
    const StepSize size = data.size(step);
    tokens += size.input_tokens;
    for (std::int64_t first = 0; first < size.micro_batches; first += context.world.size()) {
      const std::int64_t mine = first + context.rank();
      const Batch batch = to_device(
          mine < size.micro_batches ? data.micro_batch(step, mine) : empty_batch(), context.device);
      const ModelOutput output = model.forward(computation.forward(batch));
      const at::Tensor scores = batch_scores(output, esft.score == "gate");
      scores_LE = scores_LE.defined() ? scores_LE.add(scores) : scores;
    }
  }
  MOESAIC_CHECK(scores_LE.defined(), ErrorKind::kData, "the sample of adapt.esft has no token");
  context.world.all_reduce(scores_LE, ReduceOp::kSum, "esft.scores");
  return as_lists(scores_LE);
}

std::vector<std::int64_t> fewest_experts(const std::vector<std::int64_t>& scores, double share) {
  std::vector<std::int64_t> order(scores.size());
  std::iota(order.begin(), order.end(), std::int64_t{0});
  const auto score = [&](std::int64_t i) { return scores[static_cast<std::size_t>(i)]; };
  std::stable_sort(order.begin(), order.end(),
                   [&](std::int64_t a, std::int64_t b) { return score(a) > score(b); });
  const std::int64_t all = std::accumulate(scores.begin(), scores.end(), std::int64_t{0});
  MOESAIC_CHECK(all > 0, ErrorKind::kData,
                "the sample of adapt.esft has no token that goes to an expert");
  const double wanted = share * static_cast<double>(all);
  std::int64_t sum = 0;
  std::size_t count = 0;
  while (count < order.size() && (count == 0 || static_cast<double>(sum) < wanted))
    sum += score(order[count++]);
  order.resize(count);
  std::sort(order.begin(), order.end());
  return order;
}

}  // namespace moesaic
