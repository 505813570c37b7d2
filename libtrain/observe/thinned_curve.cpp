#include "observe/thinned_curve.h"

#include <algorithm>
#include <cmath>

namespace moesaic {

void ThinnedCurve::Bucket::add(const Bucket& later) {
  if (later.lowest.value < lowest.value) lowest = later.lowest;
  if (later.highest.value > highest.value) highest = later.highest;
  last = later.last;
  points += later.points;
}

std::vector<CurvePoint> ThinnedCurve::Bucket::kept() const {
  std::vector<CurvePoint> all = {first, lowest, highest, last};
  std::sort(all.begin(), all.end(),
            [](const CurvePoint& a, const CurvePoint& b) { return a.step < b.step; });
  all.erase(std::unique(all.begin(), all.end()), all.end());
  return all;
}

void ThinnedCurve::add(std::int64_t step, double value) {
  if (!std::isfinite(value)) {
    if (not_finite_++ == 0) first_not_finite_ = step;
    return;
  }
  ++count_;
  const CurvePoint point{step, value};
  const Bucket bucket{point, point, point, point};
  if (!buckets_.empty() && buckets_.back().points < points_per_bucket_) {
    buckets_.back().add(bucket);
    return;
  }
  if (buckets_.size() == most_buckets_) {
    halve(buckets_);
    points_per_bucket_ *= 2;
  }
  buckets_.push_back(bucket);
}

void ThinnedCurve::halve(std::vector<Bucket>& buckets) {
  for (std::size_t i = 0; i < buckets.size(); i += 2) {
    if (i + 1 < buckets.size()) buckets[i].add(buckets[i + 1]);
    buckets[i / 2] = buckets[i];
  }
  buckets.resize((buckets.size() + 1) / 2);
}

std::vector<CurvePoint> ThinnedCurve::points(std::size_t most) const {
  std::vector<Bucket> buckets = buckets_;
  std::vector<CurvePoint> found;
  while (true) {
    found.clear();
    for (const Bucket& bucket : buckets) {
      for (const CurvePoint& point : bucket.kept()) found.push_back(point);
    }
    if (found.size() <= most || buckets.size() <= 1) return found;
    halve(buckets);
  }
}

}  // namespace moesaic
