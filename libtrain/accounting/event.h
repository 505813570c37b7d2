// What a private run releases, as the accountants see it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/error.h"

namespace moesaic::accounting {

/// `steps` releases, one after the other, each a sum over a Poisson sample of the units with
/// Gaussian noise. Neighbours differ by one unit that is added or removed.
struct Event {
  double noise_multiplier = 1.0;  // standard deviation of the noise / norm of a unit at most
  double sampling_rate = 1.0;     // of each unit, in each step; 1 = all of them
  std::int64_t steps = 1;
  /// Probability of a step in which nothing is promised (accounting/slots.h).
  double overflow = 0.0;

  /// The same release, whatever the number of steps.
  bool is_like(const Event& other) const;
};

/// A run, or several over the same data; the order says nothing.
using Events = std::vector<Event>;

/// Joins it to the event that it is like, if there is one.
void add_event(Events& events, const Event& event);

/// Throws Error(kind) where a number is out of its range; `where` begins the message.
void check_event(const Event& event, const std::string& where, ErrorKind kind);

/// Probability that nothing is promised of one of the steps: a sum, so a bound.
double total_overflow(const Events& events);

/// Of all events. At least 0, at most what 64 bits hold.
std::int64_t total_steps(const Events& events);

}  // namespace moesaic::accounting
