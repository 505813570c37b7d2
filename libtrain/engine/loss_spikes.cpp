#include "engine/loss_spikes.h"

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "core/error.h"

namespace moesaic {
namespace {

// Of normal values the median deviation is so much below the standard deviation.
constexpr double kDeviation = 1.4826;
constexpr double kDeviations = 8;         // of a spike
constexpr double kLeastDeviation = 0.01;  // of the median: where losses hardly differ

double median_of(std::vector<double> values) {
  const auto middle = values.begin() + std::ssize(values) / 2;
  std::nth_element(values.begin(), middle, values.end());
  if (values.size() % 2 == 1) return *middle;
  return (*middle + *std::max_element(values.begin(), middle)) / 2;
}

}  // namespace

std::optional<LossSpikes::Usual> LossSpikes::add(double loss) {
  if (!std::isfinite(loss)) return std::nullopt;
  std::optional<Usual> spike;
  if (recent_.size() >= kLeast) {
    std::vector<double> values(recent_.begin(), recent_.end());
    const double median = median_of(values);
    for (double& value : values) value = std::abs(value - median);
    const double deviation =
        std::max(kDeviation * median_of(std::move(values)), kLeastDeviation * std::abs(median));
    const double most = median + kDeviations * deviation;
    if (loss > most) spike = Usual{median, most, !last_was_spike_};
  }
  last_was_spike_ = spike.has_value();
  if (spike) ++count_;
  recent_.push_back(loss);
  if (recent_.size() > kWindow) recent_.pop_front();
  return spike;
}

std::int64_t LossSpikes::take() { return std::exchange(count_, 0); }

Json LossSpikes::note() const {
  if (recent_.empty()) return nullptr;
  return {{"recent", std::vector<double>(recent_.begin(), recent_.end())}, {"since_row", count_}};
}

void LossSpikes::restore(const Json& note) {
  recent_.clear();
  last_was_spike_ = false;
  count_ = 0;
  if (note.is_null()) return;
  try {
    const auto recent = note.at("recent").get<std::vector<double>>();
    MOESAIC_CHECK(recent.size() <= kWindow, ErrorKind::kCheckpoint, "more losses than are kept");
    recent_.assign(recent.begin(), recent.end());
    count_ = note.at("since_row").get<std::int64_t>();
  } catch (const std::exception& error) {
    throw Error(ErrorKind::kCheckpoint,
                format("'loss_spikes' in the manifest is damaged: {}", error.what()));
  }
}

}  // namespace moesaic
