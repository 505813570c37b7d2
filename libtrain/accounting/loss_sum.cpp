#include "accounting/loss_sum.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <numbers>

#include "accounting/fft.h"

namespace moesaic::accounting {
namespace {

// Probability that the weighed sum lies outside of the points of the transform, on each side.
constexpr double kOutside = 1e-13;

double log_moment_of_sum(const LossTerms& terms, double theta) {
  double sum = 0;
  for (const LossTerm& term : terms)
    sum += static_cast<double>(term.steps) * log_moment(term.loss, theta);
  return sum;
}

// The positive number with the least value of a function that falls, then rises: a golden section
// of its logarithm.
template <class Function>
double minimiser(const Function& value) {
  constexpr double kGolden = std::numbers::phi - 1;
  double low = std::log(1e-4);
  double high = std::log(1e7);
  double left = high - kGolden * (high - low);
  double right = low + kGolden * (high - low);
  double at_left = value(std::exp(left));
  double at_right = value(std::exp(right));
  for (int i = 0; i < 24; ++i) {
    if (at_left <= at_right) {
      high = right, right = left, at_right = at_left;
      left = high - kGolden * (high - low);
      at_left = value(std::exp(left));
    } else {
      low = left, left = right, at_left = at_right;
      right = low + kGolden * (high - low);
      at_right = value(std::exp(right));
    }
  }
  return std::exp((low + high) / 2);
}

// By Chernoff: the weighed sum is above (sign 1) or below (sign -1) sign x this with probability
// kOutside at most.
double reach_of(const LossTerms& terms, double theta, double log_moment, double lambda, int sign) {
  return (log_moment_of_sum(terms, theta + sign * lambda) - log_moment - std::log(kOutside)) /
         lambda;
}

// Half the theta of the best bound of Chernoff: close enough for the rounding errors, and rare
// large losses, which such a bound makes too much of, stay rare.
LossFocus focus_at(const LossTerms& terms, double best_theta) {
  const double theta = best_theta / 2;
  const double moment = log_moment_of_sum(terms, theta);
  return {theta, minimiser([&](double up) { return reach_of(terms, theta, moment, up, 1); }),
          minimiser([&](double down) { return reach_of(terms, theta, moment, down, -1); })};
}

struct WeighedRange {
  double log_moment;
  double low;
  double high;
};

WeighedRange range_of(const LossTerms& terms, const LossFocus& focus) {
  const double moment = log_moment_of_sum(terms, focus.theta);
  return {moment, -reach_of(terms, focus.theta, moment, focus.down, -1),
          reach_of(terms, focus.theta, moment, focus.up, 1)};
}

double points_of(const WeighedRange& range, double interval) {
  return (range.high - range.low) / interval + 4;
}

// Weighed probabilities of one term, each at its number modulo the size.
std::vector<double> weighed_circle(const LossDistribution& d, double theta, std::size_t size) {
  const double moment = log_moment(d, theta);
  std::vector<double> circle(size);
  for (std::size_t i = 0; i < d.mass.size(); ++i) {
    const auto number = static_cast<std::uint64_t>(d.first + static_cast<std::int64_t>(i));
    circle[number & (size - 1)] += d.mass[i] * std::exp(theta * d.loss(i) - moment);
  }
  return circle;
}

}  // namespace

LossFocus focus_on_delta(const LossTerms& terms, double delta) {
  return focus_at(terms, minimiser([&](double theta) {
                    return (log_moment_of_sum(terms, theta) - std::log(delta)) / theta;
                  }));
}

LossFocus focus_on_epsilon(const LossTerms& terms, double epsilon) {
  return focus_at(terms, minimiser([&](double theta) {
                    return log_moment_of_sum(terms, theta) - theta * epsilon;
                  }));
}

double LossSum::points(const LossTerms& terms, const LossFocus& focus) {
  return points_of(range_of(terms, focus), terms.front().loss.interval);
}

LossSum::LossSum(const LossTerms& terms, const LossFocus& focus)
    : interval_(terms.front().loss.interval), theta_(focus.theta) {
  const WeighedRange range = range_of(terms, focus);
  log_moment_ = range.log_moment;
  first_ = static_cast<std::int64_t>(std::floor(range.low / interval_)) - 1;
  const std::size_t size = std::bit_ceil(
      std::max<std::size_t>(static_cast<std::size_t>(points_of(range, interval_)), 4));
  Spectrum spectrum(size / 2, {1, 0});
  spectrum[0] = {1, 1};
  for (const LossTerm& term : terms) {
    infinite_ += static_cast<double>(term.steps) * term.loss.infinite;
    multiply_by_power(spectrum, fourier_transform(weighed_circle(term.loss, theta_, size)),
                      term.steps);
  }
  weighed_ = inverse_fourier_transform(std::move(spectrum));
  const auto start = static_cast<std::ptrdiff_t>(static_cast<std::uint64_t>(first_) & (size - 1));
  std::rotate(weighed_.begin(), weighed_.begin() + start, weighed_.end());
}

// In units of the weight at the point: the probability of losses above it, and what e^(point -
// loss) makes of it. delta(point) = weight x (probability - discounted) + infinite.
struct LossSum::Above {
  double probability = 0;
  double discounted = 0;
};

// Moves from the point i to i - 1.
void LossSum::add_point(Above& above, std::int64_t i) const {
  const double point = weighed_[static_cast<std::size_t>(i)];
  const double down = std::exp(-theta_ * interval_);
  above.probability = (above.probability + point) * down;
  above.discounted = (above.discounted + point) * down * std::exp(-interval_);
}

double LossSum::epsilon(double delta) const {
  const double finite = delta - infinite_;
  if (finite <= 0) return INFINITY;
  Above above;
  const auto size = static_cast<std::int64_t>(weighed_.size());
  for (std::int64_t i = size - 1; i >= 0; add_point(above, i), --i) {
    const double allowed = std::exp(std::log(finite) - log_weight(loss(i)));
    // What lies outside of the points weighs no more than this one.
    const double probability = above.probability + kOutside;
    if (probability - above.discounted <= allowed) continue;
    if (i == size - 1) return INFINITY;
    const double further = std::log(std::max(probability - allowed, 0.0) / above.discounted);
    return std::max(loss(i) + std::clamp(further, 0.0, interval_), 0.0);
  }
  return std::max(loss(0), 0.0);
}

double LossSum::delta(double epsilon) const {
  if (epsilon < loss(0)) return 1;
  Above above;
  auto i = static_cast<std::int64_t>(weighed_.size()) - 1;
  for (; loss(i) > epsilon; --i) add_point(above, i);
  const double further = std::exp(epsilon - loss(i));
  const double probability =
      std::max(above.probability + kOutside - further * above.discounted, 0.0);
  return std::min(std::exp(log_weight(loss(i))) * probability + infinite_, 1.0);
}

}  // namespace moesaic::accounting
