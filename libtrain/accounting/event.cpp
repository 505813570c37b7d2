#include "accounting/event.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace moesaic::accounting {
namespace {

constexpr std::int64_t kMostSteps = std::int64_t{1} << 48;  // a sum of many such stays exact

std::int64_t sum_of_steps(std::int64_t a, std::int64_t b) {
  return a > std::numeric_limits<std::int64_t>::max() - b ? std::numeric_limits<std::int64_t>::max()
                                                          : a + b;
}

}  // namespace

bool Event::is_like(const Event& other) const {
  return noise_multiplier == other.noise_multiplier && sampling_rate == other.sampling_rate &&
         overflow == other.overflow;
}

void add_event(Events& events, const Event& event) {
  const auto like = std::find_if(events.begin(), events.end(),
                                 [&event](const Event& e) { return e.is_like(event); });
  if (like == events.end())
    events.push_back(event);
  else
    like->steps = sum_of_steps(like->steps, event.steps);
}

void check_event(const Event& event, const std::string& where, ErrorKind kind) {
  MOESAIC_CHECK(std::isfinite(event.noise_multiplier) && event.noise_multiplier > 0, kind,
                "{}: the noise multiplier must be above 0, got {}", where, event.noise_multiplier);
  MOESAIC_CHECK(event.sampling_rate > 0 && event.sampling_rate <= 1, kind,
                "{}: the sampling rate must be above 0 and at most 1, got {}", where,
                event.sampling_rate);
  MOESAIC_CHECK(event.steps >= 1 && event.steps <= kMostSteps, kind,
                "{}: the number of steps must be from 1 to {}, got {}", where, kMostSteps,
                event.steps);
  MOESAIC_CHECK(event.overflow >= 0 && event.overflow < 1, kind,
                "{}: the probability of an overflow must be from 0 to below 1, got {}", where,
                event.overflow);
}

double total_overflow(const Events& events) {
  double sum = 0;
  for (const Event& event : events) sum += static_cast<double>(event.steps) * event.overflow;
  return sum;
}

std::int64_t total_steps(const Events& events) {
  std::int64_t steps = 0;
  for (const Event& event : events) steps = sum_of_steps(steps, event.steps);
  return steps;
}

}  // namespace moesaic::accounting
