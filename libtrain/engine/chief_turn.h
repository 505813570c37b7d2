// ChiefTurn: what the chief of a job does alone though it may take long, such as to speak to the
// network. The other ranks wait in collectives that are short, so that no time-out of theirs ends
// it; and a signal to stop ends it on all of them.
#pragma once

#include <functional>
#include <string>

#include "comm/communicator.h"
#include "engine/stop_signal.h"

namespace moesaic {

class ChiefTurn {
 public:
  /// Thrown on all ranks when the chief was asked to stop.
  struct Stopped {};

  /// `stop` must outlive it.
  ChiefTurn(const Communicator& world, StopSignal& stop) : world_(world), stop_(stop) {}
  ChiefTurn(const ChiefTurn&) = delete;

  /// What `work`, run on the chief alone, returns; its error is thrown on all ranks, as a
  /// SharedError. Collective over world.
  std::string share(const std::string& label, const std::function<std::string()>& work);

  /// For the chief's work, once in a while: the others go on waiting. Throws Stopped. Outside of
  /// the work nothing happens.
  void alive();

 private:
  Communicator world_;
  StopSignal& stop_;
  std::string label_;  // of the work under way; "" = none
};

}  // namespace moesaic
