// Kinds of messages between a coordinator and its silos beside those of sites/messages.h. A silo
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
inline const std::string kTaken = "ok";               // answer to the others

inline std::string program_version() { return build_versions().front().second; }

}  // namespace moesaic::words
