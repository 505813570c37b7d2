#include "accounting/budget.h"

#include <algorithm>

namespace moesaic::accounting {
namespace {

bool has_no_more(const Events& events, const Events& than) {
  return std::all_of(events.begin(), events.end(), [&than](const Event& event) {
    return std::any_of(than.begin(), than.end(), [&event](const Event& other) {
      return other.is_like(event) && event.steps <= other.steps;
    });
  });
}

Events with(Events events, Event next, std::int64_t times) {
  next.steps *= times;
  add_event(events, next);
  return events;
}

}  // namespace

bool BudgetCheck::fits(const Events& events) const {
  return epsilon_of(events, budget_.delta, accountant_).value <= budget_.epsilon;
}

bool BudgetCheck::allows(const Events& spent, const Event& next) {
  if (has_no_more(with(spent, next, 1), known_)) return true;
  constexpr std::int64_t kFarthest = 1 << 20;
  for (std::int64_t times = std::clamp<std::int64_t>(2 * ahead_, 1, kFarthest); times > 0;
       times /= 2) {
    Events looked_at = with(spent, next, times);
    if (!fits(looked_at)) continue;
    known_ = std::move(looked_at);
    ahead_ = times;
    return true;
  }
  return false;
}

}  // namespace moesaic::accounting
