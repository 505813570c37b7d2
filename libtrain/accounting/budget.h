// How much privacy may be spent, and whether a step still fits.
#pragma once

#include "accounting/accountant.h"
#include "accounting/event.h"

namespace moesaic::accounting {

struct Budget {
  double epsilon = 8;
  double delta = 1e-6;

  bool operator==(const Budget&) const = default;
};

/// Answers for step after step. It looks ahead, at twice as many steps each time, so that the
/// accountant computes a few times in a run and not at each step.
class BudgetCheck {
 public:
  BudgetCheck(const Budget& budget, Accountant accountant)
      : budget_(budget), accountant_(accountant) {}

  /// Whether `next` fits after what is spent.
  bool allows(const Events& spent, const Event& next);

 private:
  bool fits(const Events& events) const;

  Budget budget_;
  Accountant accountant_;
  Events known_;            // these fit, and so does what has no more steps of any kind
  std::int64_t ahead_ = 0;  // of the last look
};

}  // namespace moesaic::accounting
