// The accountants: epsilon of delta, delta of epsilon, and the noise for both.
#pragma once

#include <string>

#include "accounting/bound.h"
#include "accounting/event.h"

namespace moesaic::accounting {

enum class Accountant { kPld, kRdp };

/// "pld", "rdp"; Error(kUsage) for another name.
Accountant accountant_of(const std::string& name);
const char* name_of(Accountant accountant);

/// Upper bounds; no events: 0. 0 < delta < 1, epsilon >= 0, events as check_event wants them.
Bound epsilon_of(const Events& events, double delta, Accountant accountant);
Bound delta_of(const Events& events, double epsilon, Accountant accountant);

/// The least noise multiplier (to 1 part in 100,000) with which the events, or the one, have at
/// most that epsilon at that delta together; their own are not looked at. Throws Error(kUsage)
/// where no noise reaches it: RDP has a least epsilon, and an overflow above delta none.
double noise_multiplier_for_all(const Events& events, double epsilon, double delta,
                                Accountant accountant);
double noise_multiplier_for(const Event& event, double epsilon, double delta,
                            Accountant accountant);

}  // namespace moesaic::accounting
