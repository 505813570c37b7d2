#include "privacy/private_ledger.h"

#include "store/agreement.h"

namespace moesaic {

void PrivateLedger::open(const Communicator& world, const std::string& head) {
  ledger_.reset();
  agreed(world, "privacy: ledger", [&] {
    if (!world.is_chief()) return;
    ledger_ = std::make_unique<accounting::Ledger>(
        accounting::Ledger::Options{.path = options_.path,
                                    .terms = options_.terms,
                                    .accountant = options_.accountant,
                                    .head = head});
  });
  open_ = true;
  paid_ = 0;
}

void PrivateLedger::set_charge(const accounting::Event& charge, std::int64_t steps) {
  options_.charge = charge;
  options_.steps = steps;
  paid_ = 0;
}

std::exception_ptr PrivateLedger::charge(const Communicator& world) {
  if (!open_) open(world, "");
  if (paid_ > 0) {
    --paid_;
    return nullptr;
  }
  if (const std::exception_ptr refused = charge(world, options_.charge)) return refused;
  paid_ = options_.steps - 1;
  return nullptr;
}

std::exception_ptr PrivateLedger::charge(const Communicator& world,
                                         const accounting::Event& event) {
  return on_chief(world, "privacy: charge",
                  [&event](accounting::Ledger& ledger) { ledger.charge(event); });
}

std::exception_ptr PrivateLedger::refusal(const Communicator& world,
                                          const accounting::Event& event) {
  return on_chief(world, "privacy: budget",
                  [&event](accounting::Ledger& ledger) { ledger.require_room(event); });
}

std::exception_ptr PrivateLedger::on_chief(const Communicator& world, const char* label,
                                           const Use& use) {
  if (!open_) open(world, "");
  try {
    agreed(world, label, [&] {
      if (ledger_) use(*ledger_);
    });
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::kBudget) throw;
    return std::current_exception();
  }
  return nullptr;
}

double PrivateLedger::epsilon(const Communicator& world) const {
  const double own = ledger_ ? ledger_->epsilon(options_.delta) : 0.0;
  return world.all_reduce(own, ReduceOp::kMax, "privacy: epsilon");
}

}  // namespace moesaic
