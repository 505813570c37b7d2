// ThinnedCurve: a curve of any number of points in bounded memory, by which no extreme is lost.
// Neighbouring points share a bucket, which keeps its first, lowest, highest and last point; when
// there are too many buckets, each two become one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace moesaic {

struct CurvePoint {
  std::int64_t step = 0;
  double value = 0;
  bool operator==(const CurvePoint&) const = default;
};

class ThinnedCurve {
 public:
  /// Of an even number of buckets.
  explicit ThinnedCurve(std::size_t most_buckets = 2048) : most_buckets_(most_buckets) {}

  /// Steps ascend. A value that is not finite is counted and is no point.
  void add(std::int64_t step, double value);

  /// At most `most` of the points, and at least 4, in order of their steps; all of them where
  /// that is possible. The first, lowest, highest and last of all are among them.
  std::vector<CurvePoint> points(std::size_t most) const;

  std::int64_t count() const { return count_; }
  /// Values that are not finite, and the step of the first.
  std::int64_t not_finite() const { return not_finite_; }
  std::int64_t first_not_finite() const { return first_not_finite_; }
  /// Of a curve with points.
  const CurvePoint& last() const { return buckets_.back().last; }

 private:
  struct Bucket {
    CurvePoint first, lowest, highest, last;
    std::int64_t points = 1;
    void add(const Bucket& later);
    std::vector<CurvePoint> kept() const;
  };
  static void halve(std::vector<Bucket>& buckets);

  std::size_t most_buckets_;
  std::int64_t points_per_bucket_ = 1;
  std::vector<Bucket> buckets_;
  std::int64_t count_ = 0;
  std::int64_t not_finite_ = 0;
  std::int64_t first_not_finite_ = 0;
};

}  // namespace moesaic
