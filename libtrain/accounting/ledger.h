// The ledger: what the runs over one data set have spent, in one file that only grows.
#pragma once

#include <string>

#include "accounting/budget.h"
#include "accounting/ledger_chain.h"

namespace moesaic::accounting {

/// Of one process (in a job, the chief's); several processes may have the same file open.
class Ledger {
 public:
  struct Options {
    std::string path;
    LedgerTerms terms;
    Accountant accountant = Accountant::kPld;
    /// The head() that a checkpoint was saved with, to go on from it; "" otherwise.
    std::string head;
  };

  /// Makes the file, or reads what is there. Throws Error(kRecipe) where it is of other data,
  /// another unit or another budget; Error(kCheckpoint) where its chain is broken, where it lacks
  /// the line `head`, and where it cannot be written or locked.
  explicit Ledger(Options options);

  /// Charges an event: when this returns, it is on the disk. To be called before the step is
  /// computed. Throws Error(kBudget), with nothing charged, where the budget does not allow it.
  /// Checking and writing are one: no other process charges between them.
  void charge(const Event& event);
  /// Throws what charge() would now, and charges nothing.
  void require_room(const Event& event);

  /// What is spent, others' charges until this process's last one included.
  const Events& events() const { return chain_.events(); }
  /// Upper bound on what that is at `delta`.
  double epsilon(double delta) const;
  /// Digest of the last line, for a checkpoint.
  const std::string& head() const { return chain_.head(); }

 private:
  void start();
  void catch_up();
  void append(const std::string& text);
  void check_terms() const;
  void check_budget(const Event& event);

  Options options_;
  LedgerChain chain_;
  std::optional<BudgetCheck> check_;
};

/// What a ledger says, whole or not.
struct LedgerReport {
  std::optional<LedgerTerms> terms;
  Events events;        // up to where the chain breaks
  std::string problem;  // "" when it is whole

  bool is_whole() const { return problem.empty(); }
};

/// Reads a ledger and changes nothing. Throws Error(kData) where there is no such file.
LedgerReport read_ledger(const std::string& path);

}  // namespace moesaic::accounting
