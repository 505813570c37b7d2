// Errors that all ranks share: a phase in which one rank failed has failed on every rank.
#pragma once

#include <functional>
#include <string>

#include "comm/communicator.h"

namespace moesaic {

/// Collective over group. Runs `work` on every rank (it may do nothing on some); when any rank
/// threw, every rank throws Error with the kind, message and hint of the first rank that did. A
/// failed communication is passed on at once: its group can agree on nothing more.
void agreed(const Communicator& group, const std::string& label, const std::function<void()>& work);

}  // namespace moesaic
