// Kinds of messages between a coordinator and its silos beside those of protocol/messages.h. A silo
// joins and is welcomed with the recipe (body "recipe"); told to prepare, it makes the model and
// says what it has (Ready); then it does what it is ordered: a round, or an evaluation of the
// model.
#pragma once

#include <string>

#include "core/version.h"

namespace moesaic::words {

inline const std::string kWelcome = "welcome";        // answer to a join
inline const std::string kPrepare = "prepare";        // order
inline const std::string kReady = "ready";            // silo: Ready
inline const std::string kEvaluate = "evaluate";      // order, with the body of a round's offer
inline const std::string kValidation = "validation";  // silo: {"loss", "targets", "accuracy"}
// Of secure sums, as order and as what the silo says: {"label"} -> {"label", "key"}; {"label",
// "keys"} -> {"label", "sealed"}; {"label", "stayed", "dropped"} -> {"label", "opened"}.
inline const std::string kSecureKeys = "secure_keys";
inline const std::string kSecureShares = "secure_shares";
inline const std::string kSecureOpen = "secure_open";
inline const std::string kTaken = "ok";               // answer to the others

inline std::string program_version() { return build_versions().front().second; }

}  // namespace moesaic::words
