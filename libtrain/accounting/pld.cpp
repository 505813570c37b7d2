#include "accounting/pld.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>

#include "accounting/gaussian.h"
#include "accounting/loss_sum.h"
#include "accounting/rdp.h"

namespace moesaic::accounting {
namespace {

constexpr double kKept = 1e-4;                // of delta, for what is cut off and rounded
constexpr double kLargest = 1U << 20U;        // points of a grid or a transform
constexpr std::size_t kFocusing = 1U << 13U;  // points up to which a focus is looked for
constexpr double kStands = 1e-4;  // change of an epsilon, or part of a delta, that stands
constexpr double kUnbounded = std::numeric_limits<double>::infinity();

// Releases without sampling are as one.
Events joined(const Events& events) {
  Events sampled;
  Events whole;
  for (const Event& event : events) {
    const bool plain = event.sampling_rate >= 1 && event.overflow == 0;
    add_event(plain ? whole : sampled, event);
  }
  if (!whole.empty()) sampled.push_back({1 / gaussian_mu(whole), 1, 1, 0});
  return sampled;
}

// The probability that the unit is in any of the steps, at most: of what it is not in it changes
// nothing.
double total_rate(const Events& events) {
  double sum = 0;
  for (const Event& event : events) sum += static_cast<double>(event.steps) * event.sampling_rate;
  return sum;
}

// What is asked, of one direction at a time.
struct Question {
  std::function<LossFocus(const LossTerms&)> focus;
  std::function<double(const LossSum&)> answer;
};

// One direction: its last answer, an upper bound, and the focus that it was found with.
struct Direction {
  LossDistribution LossPair::*losses;
  double bound = kUnbounded;
  LossFocus focus = {};
  bool focused = false;

  bool improve(const Events& events, const std::vector<LossPair>& pairs, const Question& question) {
    LossTerms terms;
    std::size_t points = 0;
    for (std::size_t e = 0; e < events.size(); ++e) {
      terms.push_back({pairs[e].*losses, events[e].steps});
      points += terms.back().loss.mass.size();
    }
    if (!focused || points <= kFocusing) focus = question.focus(terms), focused = true;
    if (LossSum::points(terms, focus) > kLargest) return false;
    bound = std::min(bound, question.answer(LossSum(terms, focus)));
    return true;
  }

  // Within a cell of the grid delta falls by no more than about e, which is a smooth curve. Where
  // it falls by far more, one half of the cell may give the same bound as the whole, both of them
  // too large by up to a cell.
  bool is_smooth(double interval) const {
    return !focused || interval <= kStands || 2 * focus.theta * interval <= 1;
  }
};

double first_interval(const Events& events, double tail) {
  double interval = 0.125;
  for (const Event& event : events)
    interval = std::max(interval, grid_points(event, 1, tail) / 4096);
  return interval;
}

// The larger of both directions, once it stands: `close(before, now)`.
double standing_value(const Events& events, double tail, const Question& question,
                      bool (*close)(double, double)) {
  Direction remove{&LossPair::remove};
  Direction add{&LossPair::add};
  double before = kUnbounded;
  for (double interval = first_interval(events, tail);; interval /= 2) {
    std::vector<LossPair> pairs;
    double points = 0;
    for (const Event& event : events) points += grid_points(event, interval, tail);
    if (points > kLargest) return before;
    for (const Event& event : events) pairs.push_back(loss_distributions(event, interval, tail));
    if (!remove.improve(events, pairs, question)) return before;
    if (add.bound > remove.bound && !add.improve(events, pairs, question)) return before;
    const double now = std::max(remove.bound, add.bound);
    const Direction& larger = remove.bound >= add.bound ? remove : add;
    if (larger.is_smooth(interval) && close(before, now)) return now;
    before = now;
  }
}

// Below 10 to 1 part in 10,000, to 0.001 up to 1,000; beyond that no number promises anything.
bool epsilon_stands(double before, double now) {
  return before - now <= kStands * std::clamp(now, 1.0, 10.0) ||
         before - now <= kStands * (now - 1000);
}

double tail_of_step(const Events& events, double delta) {
  return std::max(1e-6 * delta / static_cast<double>(total_steps(events)), 1e-300);
}

}  // namespace

double pld_epsilon(const Events& events, double delta) {
  if (events.empty()) return 0;
  const Events terms = joined(events);
  if (terms.size() == 1 && terms[0].sampling_rate >= 1 && terms[0].overflow == 0)
    return gaussian_epsilon(1 / terms[0].noise_multiplier, delta);
  const double asked = delta * (1 - kKept);
  if (total_overflow(terms) >= asked * (1 - kKept)) return kUnbounded;
  if (total_rate(terms) + total_overflow(terms) <= asked) return 0;
  const Question question{[asked](const LossTerms& t) { return focus_on_delta(t, asked); },
                          [asked](const LossSum& sum) { return sum.epsilon(asked); }};
  const double value = standing_value(terms, tail_of_step(terms, delta), question, epsilon_stands);
  // Losses of a step beyond a double's exponent: the bound by Renyi divergences holds.
  return std::isfinite(value) ? value : rdp_epsilon(terms, delta).value;
}

double pld_delta(const Events& events, double epsilon) {
  if (events.empty()) return 0;
  const Events terms = joined(events);
  if (terms.size() == 1 && terms[0].sampling_rate >= 1 && terms[0].overflow == 0)
    return gaussian_delta(1 / terms[0].noise_multiplier, epsilon);
  const Question question{[epsilon](const LossTerms& t) { return focus_on_epsilon(t, epsilon); },
                          [epsilon](const LossSum& sum) { return sum.delta(epsilon); }};
  const double value =
      standing_value(terms, tail_of_step(terms, 1e-20), question,
                     [](double before, double now) { return before - now <= kStands * now; });
  return std::min(value * (1 + kKept), 1.0);
}

}  // namespace moesaic::accounting
