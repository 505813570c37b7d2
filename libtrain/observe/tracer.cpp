#include "observe/tracer.h"

#include <algorithm>

#include "core/clock.h"

namespace moesaic {
namespace {

double seconds_of(const Tracer::Event& event) {
  return static_cast<double>(event.end_ns - event.begin_ns) * 1e-9;
}

}  // namespace

std::uint32_t Tracer::number_of(std::string_view name) {
  if (const auto found = numbers_.find(name); found != numbers_.end()) return found->second;
  const auto number = static_cast<std::uint32_t>(names_.size());
  numbers_.emplace(name, number);
  names_.emplace_back(name);
  return number;
}

Tracer::Id Tracer::begin(Kind kind, std::string_view name) {
  const std::scoped_lock lock(mutex_);
  if (full()) {
    if (!stopped_) ++dropped_;
    return kDropped;
  }
  events_.push_back({number_of(name), kind, monotonic_ns()});
  return events_.size() - 1;
}

void Tracer::end(Id id) {
  const std::int64_t now = monotonic_ns();
  const std::scoped_lock lock(mutex_);
  if (id < events_.size() && events_[id].end_ns == kOpen) events_[id].end_ns = now;
}

void Tracer::stop() {
  const std::int64_t now = monotonic_ns();
  const std::scoped_lock lock(mutex_);
  stopped_ = true;
  for (Event& event : events_) {
    if (event.end_ns == kOpen) event.end_ns = now;
  }
}

double Tracer::seconds(Kind kind) const {
  double sum = 0;
  for (const Event& event : events_) {
    if (event.kind == kind) sum += seconds_of(event);
  }
  return sum;
}

double Tracer::seconds(std::string_view name) const {
  double sum = 0;
  for (const Event& event : events_) {
    if (names_[event.name] == name) sum += seconds_of(event);
  }
  return sum;
}

std::vector<std::pair<std::string, double>> Tracer::seconds_by_name(Kind kind) const {
  std::vector<double> sums(names_.size(), 0);
  std::vector<bool> seen(names_.size(), false);
  for (const Event& event : events_) {
    if (event.kind != kind) continue;
    sums[event.name] += seconds_of(event);
    seen[event.name] = true;
  }
  std::vector<std::pair<std::string, double>> result;
  for (std::size_t i = 0; i < sums.size(); ++i) {
    if (seen[i]) result.emplace_back(names_[i], sums[i]);
  }
  std::stable_sort(result.begin(), result.end(),
                   [](const auto& a, const auto& b) { return a.second > b.second; });
  return result;
}

}  // namespace moesaic
