// ChiefTurn: what the chief of a job does alone though it may take long, such as to speak to the
// network. The other ranks wait in collectives that are short, so that no time-out of theirs ends
// it.
#pragma once

#include <functional>
#include <string>

#include "comm/communicator.h"

namespace moesaic {

class ChiefTurn {
 public:
  explicit ChiefTurn(const Communicator& world) : world_(world) {}
  ChiefTurn(const ChiefTurn&) = delete;

  /// What `work`, run on the chief alone, returns; its error is thrown on all ranks, as a
  /// SharedError. Collective over world.
  std::string share(const std::string& label, const std::function<std::string()>& work);

  /// For the chief's work, once in a while: the others go on waiting. Outside of it nothing
  /// happens.
  void alive() const;

 private:
  Communicator world_;
  bool is_on_ = false;
};

}  // namespace moesaic
