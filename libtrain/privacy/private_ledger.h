// PrivateLedger: the ledger of a job. The chief has the file; all ranks learn what comes of it.
#pragma once

#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <string>

#include "accounting/ledger.h"
#include "parallel/rank_context.h"

namespace moesaic {

class PrivateLedger {
 public:
  struct Options {
    std::string path;
    accounting::LedgerTerms terms;  // the chief's
    accounting::Accountant accountant = accounting::Accountant::kPld;
    accounting::Event charge;
    std::int64_t steps = 1;  // that one charge pays for
    double delta = 1e-6;
  };

  explicit PrivateLedger(Options options) : options_(std::move(options)) {}

  /// To go on from a checkpoint that was saved with `head`, "" = anew; steps that were paid for and
  /// not done are lost. Collective over world. Throws what accounting::Ledger does.
  void open(const Communicator& world, const std::string& head);

  /// From the next step on `charge` pays for `steps` steps. What was paid for and not done is lost.
  void set_charge(const accounting::Event& charge, std::int64_t steps);

  /// Charges the next step, unless it is paid: when this returns nothing, it may be computed. Else
  /// the Error(kBudget) of all ranks, with nothing charged. Collective over world.
  std::exception_ptr charge(const Communicator& world);

  /// Charges this in place of a step, or says what charging it would, with nothing charged. The
  /// Error(kBudget) of all ranks, or nothing. Collective over world.
  std::exception_ptr charge(const Communicator& world, const accounting::Event& event);
  std::exception_ptr refusal(const Communicator& world, const accounting::Event& event);

  /// What is spent. Collective over world.
  double epsilon(const Communicator& world) const;
  double delta() const { return options_.delta; }
  /// Of the last line; the chief's.
  std::string head() const { return ledger_ ? ledger_->head() : ""; }

 private:
  using Use = std::function<void(accounting::Ledger&)>;
  std::exception_ptr on_chief(const Communicator& world, const char* label, const Use& use);

  Options options_;
  std::unique_ptr<accounting::Ledger> ledger_;  // the chief's
  bool open_ = false;
  std::int64_t paid_ = 0;  // steps to come
};

}  // namespace moesaic
