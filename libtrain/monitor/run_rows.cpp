#include "monitor/run_rows.h"

#include <cmath>

namespace moesaic {
namespace {

// They speak of the steps of their own row, and are missing from a row where there is nothing to
// say.
constexpr const char* kOfOneRow[] = {"skipped", "loss_spikes", "straggler_rank"};
constexpr double kMostInARow = 1e15;  // steps

template <class Value>
bool has_room(const std::map<std::string, Value>& values, const std::string& name) {
  return values.size() < RunRows::kMostNames || values.contains(name);
}

}  // namespace

void RunRows::add(const MetricsRow& row) {
  step_ = row.step;
  for (const char* name : kOfOneRow) values_.erase(name);
  bool finite = true;
  for (const auto& [name, value] : row.values) {
    finite = finite && std::isfinite(value);
    if (has_room(values_, name)) values_[name] = value;
  }
  for (const auto& [name, values] : row.vectors)
    if (has_room(vectors_, name)) vectors_[name] = values;
  if (step_ > counted_step_) count(finite);
}

void RunRows::count(bool finite) {
  counted_step_ = step_;
  ++counts_.rows;
  if (!finite) ++counts_.nonfinite_rows;
  counts_.skipped_steps += counted_in_row("skipped");
  counts_.loss_spikes += counted_in_row("loss_spikes");
}

std::int64_t RunRows::counted_in_row(const char* name) const {
  const auto found = values_.find(name);
  const bool counts = found != values_.end() && found->second > 0 && found->second < kMostInARow;
  return counts ? std::llround(found->second) : 0;
}

void RunRows::start_again() {
  step_ = 0;
  values_.clear();
  vectors_.clear();
}

void RunRows::forget_counts() {
  counts_ = {};
  counted_step_ = step_;
}

}  // namespace moesaic
