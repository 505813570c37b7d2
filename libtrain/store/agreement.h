// Errors that all ranks share: a phase in which one rank failed has failed on every rank.
#pragma once

#include <functional>
#include <string>

#include "comm/communicator.h"
#include "core/error.h"

namespace moesaic {

/// An error that every rank of a group throws: one of them, the rank that failed, is to tell it.
class SharedError : public Error {
 public:
  /// The message begins with "rank <rank>: " when the group has several.
  SharedError(const Error& error, int rank, int group_size);

  int rank() const { return rank_; }                   // in the group
  const std::string& plain() const { return plain_; }  // the message without the rank

 private:
  int rank_;
  std::string plain_;
};

/// Collective over group. Runs `work` on every rank (it may do nothing on some); when any rank
/// threw, every rank throws SharedError with the kind, message and hint of the first rank that did.
/// A failed communication is passed on at once: its group can agree on nothing more.
void agreed(const Communicator& group, const std::string& label, const std::function<void()>& work);

}  // namespace moesaic
