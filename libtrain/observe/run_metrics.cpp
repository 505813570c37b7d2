#include "observe/run_metrics.h"

#include <algorithm>

#include "core/format.h"

namespace moesaic {
namespace {

constexpr std::size_t kMostLoadColumns = 600;
constexpr std::size_t kMostLoads = 4'000'000;  // of all columns

}  // namespace

void RunMetrics::update() {
  reader_.read([this] { begin(); }, [this](const MetricsRow& row) { take(row); });
}

void RunMetrics::begin() {
  names_.clear();
  curves_.clear();
  too_many_ = false;
  loads_ = {};
  newest_ = {};
}

void RunMetrics::take(const MetricsRow& row) {
  newest_ = row;
  for (const auto& [name, value] : row.values) {
    auto curve = curves_.find(name);
    if (curve == curves_.end()) {
      too_many_ = too_many_ || names_.size() == kMostCurves;
      if (names_.size() == kMostCurves) continue;
      names_.push_back(name);
      curve = curves_.emplace(name, ThinnedCurve()).first;
    }
    curve->second.add(row.step, value);
  }
  loads_.add(LoadHistory::column_of(row));
  if (loads_.empty()) return;
  loads_.keep(std::min(kMostLoadColumns, kMostLoads / (loads_.layers() * loads_.experts())));
}

const ThinnedCurve* RunMetrics::find(const std::string& name) const {
  const auto found = curves_.find(name);
  return found == curves_.end() ? nullptr : &found->second;
}

std::vector<std::string> RunMetrics::remarks() const {
  std::vector<std::string> texts = reader_.remarks();
  if (too_many_)
    texts.push_back(
        format("of more than {} different values the later ones are left out", kMostCurves));
  return texts;
}

}  // namespace moesaic
