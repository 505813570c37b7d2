#include "accounting/accountant.h"

#include <algorithm>
#include <cmath>

#include "accounting/pld.h"
#include "accounting/rdp.h"

namespace moesaic::accounting {
namespace {

constexpr double kLeastNoise = 1e-2;
constexpr double kMostNoise = 1e9;
constexpr double kCloseness = 1e-5;  // of a noise multiplier
// Two values of the numerical accountant that differ by less say nothing of which is larger; a run
// that is calibrated stays below its budget at each of its steps.
constexpr double kMargin = 2e-5;

[[noreturn]] void out_of_reach(double epsilon, double delta, Accountant accountant) {
  throw Error(ErrorKind::kUsage,
              format("no noise multiplier from {} to {} gives epsilon {} at delta {}", kLeastNoise,
                     kMostNoise, epsilon, delta),
              accountant == Accountant::kRdp
                  ? "the accountant rdp has a least epsilon: try pld, or a larger epsilon"
                  : "fewer steps, a lower sampling rate, more slots or a larger epsilon");
}

// Where the falling function `excess` of ln(noise) comes to 0: the end of a bracket that is not
// above it. Regula falsi (Illinois), kept off the ends.
template <class Excess>
double root_of(const Excess& excess, double low, double at_low, double high, double at_high) {
  while (high - low > kCloseness) {
    double next = low + (high - low) * at_low / (at_low - at_high);
    const double edge = 0.5 * kCloseness;
    if (!(next > low + edge)) next = low + edge;
    if (!(next < high - edge)) next = high - edge;
    const double value = excess(next);
    if (value > 0)
      low = next, at_low = value, at_high /= 2;
    else
      high = next, at_high = value, at_low /= 2;
  }
  return high;
}

// Of ln(noise): by Renyi divergences it takes a moment, and is too much by some percent.
double first_guess(const Events& events, double epsilon, double delta, Accountant accountant) {
  if (accountant == Accountant::kRdp) return 0;
  try {
    return std::log(noise_multiplier_for_all(events, epsilon, delta, Accountant::kRdp));
  } catch (const Error&) {  // they have a least epsilon
    return 0;
  }
}

}  // namespace

Accountant accountant_of(const std::string& name) {
  if (name == "pld") return Accountant::kPld;
  if (name == "rdp") return Accountant::kRdp;
  throw Error(ErrorKind::kUsage, format("there is no accountant '{}'", name), "pld or rdp");
}

const char* name_of(Accountant accountant) {
  return accountant == Accountant::kPld ? "pld" : "rdp";
}

Bound epsilon_of(const Events& events, double delta, Accountant accountant) {
  if (accountant == Accountant::kRdp) return rdp_epsilon(events, delta);
  return {pld_epsilon(events, delta), std::nullopt, false};
}

Bound delta_of(const Events& events, double epsilon, Accountant accountant) {
  if (accountant == Accountant::kRdp) return rdp_delta(events, epsilon);
  return {pld_delta(events, epsilon), std::nullopt, false};
}

double noise_multiplier_for_all(const Events& events, double epsilon, double delta,
                                Accountant accountant) {
  const double wanted = epsilon - kMargin * std::max(epsilon, 1.0) * (epsilon > 1e-3 ? 1 : 0);
  const auto excess = [&](double log_noise) {
    Events tried;
    for (Event event : events) {
      event.noise_multiplier = std::exp(log_noise);
      add_event(tried, event);
    }
    const double got = epsilon_of(tried, delta, accountant).value;
    return std::log(std::max(got, 1e-9)) - std::log(wanted);
  };
  double low = first_guess(events, epsilon, delta, accountant);
  double high = low;
  double at_low = excess(low);
  double at_high = at_low;
  double step = accountant == Accountant::kRdp ? 1 : 0.1;
  while (at_high > 0) {
    low = high, at_low = at_high, high += step, step = std::min(2 * step, 1.0);
    if (high > std::log(kMostNoise)) out_of_reach(epsilon, delta, accountant);
    at_high = excess(high);
  }
  while (at_low <= 0) {
    high = low, at_high = at_low, low -= step, step = std::min(2 * step, 1.0);
    if (low < std::log(kLeastNoise)) return kLeastNoise;
    at_low = excess(low);
  }
  return std::exp(root_of(excess, low, at_low, high, at_high));
}

double noise_multiplier_for(const Event& event, double epsilon, double delta,
                            Accountant accountant) {
  return noise_multiplier_for_all({event}, epsilon, delta, accountant);
}

}  // namespace moesaic::accounting
