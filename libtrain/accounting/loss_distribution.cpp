#include "accounting/loss_distribution.h"

#include <algorithm>
#include <cmath>

#include "accounting/normal.h"

namespace moesaic::accounting {
namespace {

// P = (1 - q) N(0, s^2) + q N(1, s^2), Q = N(0, s^2); the loss grows with x.
class SampledGaussian {
 public:
  explicit SampledGaussian(const Event& event)
      : s_(event.noise_multiplier), q_(event.sampling_rate) {}

  double loss(double x) const {
    const double u = (x - 0.5) / (s_ * s_);
    if (q_ >= 1) return u;
    if (u < 30) return std::log1p(q_ * std::expm1(u));
    return u + std::log(q_) + std::log1p((1 - q_) / q_ * std::exp(-u));
  }

  // The x of a loss; minus infinity where none is as low.
  double place(double loss) const {
    if (q_ >= 1) return s_ * s_ * loss + 0.5;
    if (loss > 30)
      return s_ * s_ * (loss + std::log1p(-(1 - q_) * std::exp(-loss)) - std::log(q_)) + 0.5;
    const double ratio = std::expm1(loss) / q_;
    return ratio <= -1 ? -INFINITY : s_ * s_ * std::log1p(ratio) + 0.5;
  }

  // Of N(mean, s^2): the smaller of the probabilities below and above x, the latter negative.
  double tail(double x, double mean) const {
    const double z = (x - mean) / s_;
    return z <= 0 ? normal_cdf(z) : -normal_cdf(-z);
  }

  double q() const { return q_; }

 private:
  double s_;
  double q_;
};

// Probability between two places, by their tails.
double between(double low, double high) {
  const double mass = high - low;  // both on one side
  return low >= 0 && high < 0 ? 1 + mass : mass;
}

// How much of a cell from loss e to e + h goes to its upper end; a0 and a1 are its probabilities
// under N(0, s^2) and N(1, s^2), p the one under P.
double upper_part(double e, double h, double q, double a0, double a1, double p) {
  const double up = (q * a1 - (std::expm1(e) + q) * a0) / -std::expm1(-h);
  return std::isfinite(up) ? std::clamp(up, 0.0, p) : p;
}

// Far out probabilities come to 0, which has no moments.
LossDistribution without_empty_ends(LossDistribution d) {
  const auto is_there = [](double mass) { return mass > 0; };
  const auto end = std::find_if(d.mass.rbegin(), d.mass.rend() - 1, is_there).base();
  d.mass.erase(end, d.mass.end());
  const auto begin = std::find_if(d.mass.begin(), d.mass.end() - 1, is_there);
  d.first += begin - d.mass.begin();
  d.mass.erase(d.mass.begin(), begin);
  return d;
}

// Losses of the other direction: what Q has of each point, at minus its loss.
LossDistribution mirrored(const LossDistribution& d, double left_over) {
  LossDistribution mirror{d.interval, 0, {}, left_over};
  mirror.first = -(d.first + static_cast<std::int64_t>(d.mass.size()) - 1);
  mirror.mass.resize(d.mass.size());
  for (std::size_t i = 0; i < d.mass.size(); ++i)
    mirror.mass[d.mass.size() - 1 - i] = d.mass[i] * std::exp(-d.loss(i));
  return mirror;
}

struct Range {
  double low;
  double high;
};

Range range_of_loss(const Event& event, double tail) {
  const SampledGaussian pair(event);
  const double z = event.noise_multiplier * std::sqrt(-2 * std::log(tail));  // a Chernoff bound
  return {pair.loss(-z), pair.loss(1 + z)};
}

}  // namespace

double grid_points(const Event& event, double interval, double tail) {
  const Range range = range_of_loss(event, tail);
  return (range.high - range.low) / interval + 2;
}

LossPair loss_distributions(const Event& event, double interval, double tail) {
  const SampledGaussian pair(event);
  const Range range = range_of_loss(event, tail);
  LossDistribution d{interval, static_cast<std::int64_t>(std::floor(range.low / interval)), {}, 0};
  const auto last = static_cast<std::int64_t>(std::ceil(range.high / interval));
  d.mass.resize(static_cast<std::size_t>(std::max(last - d.first, std::int64_t{1})) + 1);

  const double q = pair.q();
  double x = pair.place(d.loss(0));
  double tail0 = pair.tail(x, 0);
  double tail1 = pair.tail(x, 1);
  // All that lies below the grid goes to its first point; Q has more there than P can match.
  d.mass[0] = between(0, tail0) * (1 - q) + between(0, tail1) * q;
  const double left_over = std::max(between(0, tail0) - d.mass[0] * std::exp(-d.loss(0)), 0.0);
  for (std::size_t i = 0; i + 1 < d.mass.size(); ++i) {
    x = pair.place(d.loss(i + 1));
    const double next0 = pair.tail(x, 0);
    const double next1 = pair.tail(x, 1);
    const double a0 = between(tail0, next0);
    const double a1 = between(tail1, next1);
    const double p = (1 - q) * a0 + q * a1;
    const double up = upper_part(d.loss(i), interval, q, a0, a1, p);
    d.mass[i] += p - up;
    d.mass[i + 1] += up;
    tail0 = next0;
    tail1 = next1;
  }
  const double above0 = tail0 < 0 ? -tail0 : 1 - tail0;
  const double above = (1 - q) * above0 + q * (tail1 < 0 ? -tail1 : 1 - tail1);
  const double finite = above0 * std::exp(d.loss(d.mass.size() - 1));
  const double kept = std::isfinite(finite) ? std::min(finite, above) : 0;
  d.mass.back() += kept;
  d.infinite = above - kept + event.overflow;
  return {without_empty_ends(d), without_empty_ends(mirrored(d, left_over + event.overflow))};
}

double log_moment(const LossDistribution& distribution, double theta) {
  const auto size = static_cast<std::ptrdiff_t>(distribution.mass.size());
  const std::ptrdiff_t top = theta > 0 ? size - 1 : 0;  // where e^(theta loss) is largest
  const std::ptrdiff_t step = theta > 0 ? -1 : 1;
  const double factor = std::exp(-std::abs(theta) * distribution.interval);
  double sum = 0;
  double weight = 1;
  for (std::ptrdiff_t i = top; i >= 0 && i < size && weight > 0; i += step, weight *= factor)
    sum += distribution.mass[static_cast<std::size_t>(i)] * weight;
  return std::log(sum) + theta * distribution.loss(static_cast<std::size_t>(top));
}

}  // namespace moesaic::accounting
