#include "monitor/run_rows.h"

#include <cmath>

namespace moesaic {
namespace {

// They speak of the steps of their own row, and are missing from a row where there is nothing to
// say.
constexpr const char* kOfOneRow[] = {"skipped", "straggler_rank"};
constexpr double kMostSkipped = 1e15;  // in one row

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
  const auto skipped = values_.find("skipped");
  if (skipped != values_.end() && skipped->second > 0 && skipped->second < kMostSkipped)
    counts_.skipped_steps += std::llround(skipped->second);
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
