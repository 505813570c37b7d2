#include "accounting/rdp.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "accounting/normal.h"

namespace moesaic::accounting {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr int kMostTerms = 100'000;

// ln(e^a + e^b).
double log_sum(double a, double b) {
  const double high = std::max(a, b);
  return high == -kInfinity ? high : high + std::log1p(std::exp(std::min(a, b) - high));
}

// ln(e^a - e^b); NaN where b > a.
double log_difference(double a, double b) {
  if (b == -kInfinity) return a;
  return a == b ? -kInfinity : a + std::log(-std::expm1(b - a));
}

// ln E[(1 - q + q e^((2 x - 1) / (2 s^2)))^n], x normal with standard deviation s.
double log_moment_of_integer(double q, double s, int n) {
  double log_moment = -kInfinity;
  for (int k = 0; k <= n; ++k) {
    const double log_binomial =
        std::lgamma(n + 1.0) - std::lgamma(k + 1.0) - std::lgamma(n - k + 1.0);
    log_moment = log_sum(log_moment, log_binomial + k * std::log(q) + (n - k) * std::log1p(-q) +
                                         k * (k - 1.0) / (2 * s * s));
  }
  return log_moment;
}

// The same for a fractional order: a series on each side of the point z0 where both parts of the
// mixture weigh the same (section 3.3 of the paper). Signs alternate after the order.
double log_moment_of_fraction(double q, double s, double order) {
  const double z0 = s * s * std::log(1 / q - 1) + 0.5;
  double below = -kInfinity;
  double above = -kInfinity;
  double log_binomial = 0;
  bool positive = true;
  for (int i = 0; i < kMostTerms; ++i) {
    const double j = order - i;
    const double term0 = log_binomial + i * std::log(q) + j * std::log1p(-q) +
                         i * (i - 1.0) / (2 * s * s) + log_normal_cdf((z0 - i) / s);
    const double term1 = log_binomial + j * std::log(q) + i * std::log1p(-q) +
                         j * (j - 1) / (2 * s * s) + log_normal_cdf((j - z0) / s);
    below = positive ? log_sum(below, term0) : log_difference(below, term0);
    above = positive ? log_sum(above, term1) : log_difference(above, term1);
    if (std::isnan(below) || std::isnan(above)) return kInfinity;
    if (std::max(term0, term1) < -30) return log_sum(below, above);
    log_binomial += std::log(std::abs(j)) - std::log(i + 1.0);
    if (j < 0) positive = !positive;
  }
  return kInfinity;
}

double rdp_of(const Events& events, double order) {
  double sum = 0;
  for (const Event& event : events)
    sum += static_cast<double>(event.steps) * rdp_of_step(event, order);
  return sum;
}

// The order with the least value; `value_of(order)` may be infinite.
template <class Value>
Bound least_over_orders(const Value& value_of) {
  const std::vector<double>& orders = rdp_orders();
  Bound best{kInfinity, std::nullopt, false};
  for (const double order : orders) {
    const double value = value_of(order);
    if (!(value < best.value)) continue;
    best = {value, order, order == orders.front() || order == orders.back()};
  }
  return best;
}

}  // namespace

const std::vector<double>& rdp_orders() {
  static const std::vector<double> kOrders = [] {
    std::vector<double> orders;
    for (int tenth = 1; tenth < 100; ++tenth) orders.push_back(1 + tenth / 10.0);
    for (int order = 12; order < 64; ++order) orders.push_back(order);
    return orders;
  }();
  return kOrders;
}

double rdp_of_step(const Event& event, double order) {
  const double s = event.noise_multiplier;
  const double q = event.sampling_rate;
  if (q >= 1) return order / (2 * s * s);
  const double log_moment = order == std::floor(order)
                                ? log_moment_of_integer(q, s, static_cast<int>(order))
                                : log_moment_of_fraction(q, s, order);
  return std::max(log_moment, 0.0) / (order - 1);
}

Bound rdp_epsilon(const Events& events, double delta) {
  if (events.empty()) return {};
  const double left = delta - total_overflow(events);
  if (left <= 0) return {kInfinity, std::nullopt, false};
  Bound bound = least_over_orders([&](double order) {
    return rdp_of(events, order) + std::log1p(-1 / order) -
           (std::log(left) + std::log(order)) / (order - 1);
  });
  bound.value = std::max(bound.value, 0.0);
  return bound;
}

Bound rdp_delta(const Events& events, double epsilon) {
  if (events.empty()) return {};
  Bound bound = least_over_orders([&](double order) {
    return std::exp((order - 1) * (rdp_of(events, order) + std::log1p(-1 / order) - epsilon) -
                    std::log(order));
  });
  bound.value = std::min(bound.value + total_overflow(events), 1.0);
  return bound;
}

}  // namespace moesaic::accounting
