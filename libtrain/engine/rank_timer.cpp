#include "engine/rank_timer.h"

#include <ATen/ops/empty.h>

#include <algorithm>
#include <limits>

#include "core/host_name.h"

namespace moesaic {
namespace {

// NaN of none.
double middle_of(std::vector<double> values) {
  if (values.empty()) return std::numeric_limits<double>::quiet_NaN();
  const auto middle = values.begin() + std::ssize(values) / 2;
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

std::vector<RankTimes> times_of_all(const Communicator& world, const RankTimes& mine) {
  at::Tensor row = at::empty({1, 3}, at::kDouble);
  auto* value = row.mutable_data_ptr<double>();
  value[0] = mine.own_s;
  value[1] = mine.wait_s;
  value[2] = mine.expert_rows;
  const at::Tensor all = world.all_gather(row, "step.times");
  const auto* of_rank = all.const_data_ptr<double>();
  std::vector<RankTimes> times;
  for (int rank = 0; rank < world.size(); ++rank, of_rank += 3)
    times.push_back({of_rank[0], of_rank[1], of_rank[2]});
  return times;
}

std::string ratio_text(double value, double median) {
  return median > 0 ? format("{:.2f} times", value / median) : "more than";
}

}  // namespace

void RankTimer::before(const Step& /*step*/) {
  watch_.lap();
  waited_before_ = world_.wait_seconds();
  round_ = 0;
}

void RankTimer::before_forward(ForwardContext& context) {
  if (++round_ == 1) has_batch_ = context.batch.tokens() > 0;
  if (round_ == 2) end_round();
}

void RankTimer::after_forward(const ModelOutput& output) {
  if (round_ != 1) return;
  for (const RouterRecord& record : output.routers)
    expert_rows_ += static_cast<double>(record.expert_rows);
}

void RankTimer::gradient_done(const RankContext& /*context*/, const Step& /*step*/) {
  if (round_ == 1) end_round();
}

void RankTimer::end_round() {
  if (!has_batch_) return;
  const double waited = world_.wait_seconds() - waited_before_;
  own_s_.push_back(watch_.seconds() - waited);
  wait_s_.push_back(waited);
}

RankTimes RankTimer::window() const {
  return {middle_of(own_s_), middle_of(wait_s_), expert_rows_};
}

void RankTimer::finished(const RankContext& context, const Step& step) {
  if (step.number % kWindow != 0) return;
  times_ = times_of_all(context.world, window());
  own_s_.clear();
  wait_s_.clear();
  expert_rows_ = 0;
  const std::vector<int> named = slow_.add(times_);
  if (!named.empty()) tell(context, step, named);
}

void RankTimer::tell(const RankContext& context, const Step& step,
                     const std::vector<int>& ranks) const {
  const std::vector<std::string> hosts = context.world.all_gather(host_name(), "step.hosts");
  const std::vector<double> own = sorted_values(times_, &RankTimes::own_s);
  const std::vector<double> rows = sorted_values(times_, &RankTimes::expert_rows);
  for (const int number : ranks) {
    const auto rank = static_cast<std::size_t>(number);
    const RankTimes& slow = times_[rank];
    const double median = median_of_others(own, slow.own_s);
    const double usual_rows = median_of_others(rows, slow.expert_rows);
    const std::string load = usual_rows > 0
                                 ? format("; its experts have {} the rows of the others'",
                                          ratio_text(slow.expert_rows, usual_rows))
                                 : std::string();
    context.log.warn(
        "step {}: rank {} on {} is slow: {:.1f} ms for a micro-batch, {} the median of the "
        "others; it waits {:.1f} ms{}",
        step.number, number, hosts[rank], 1e3 * slow.own_s, ratio_text(slow.own_s, median),
        1e3 * slow.wait_s, load);
  }
}

void RankTimer::report(MetricsRow& row) const {
  constexpr std::size_t kMostRanks = 64;
  if (slow_.slowest()) row.set("straggler_rank", static_cast<double>(*slow_.slowest()));
  if (times_.empty() || times_.size() > kMostRanks) return;
  std::vector<double> own, waits;
  for (const RankTimes& of_rank : times_) {
    own.push_back(of_rank.own_s);
    waits.push_back(of_rank.wait_s);
  }
  row.vectors.emplace_back("rank_compute_s", own);
  row.vectors.emplace_back("rank_wait_s", waits);
}

}  // namespace moesaic
