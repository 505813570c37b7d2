// What to say of a path where a model should be and is not.
#pragma once

#include <string>

#include "core/error.h"

namespace moesaic {

struct NoModel {
  std::string what;  // goes on after the path: "it is a token file"
  std::string hint;  // what to do about it
};

/// What is at `path` instead of a folder or GGUF file with a model, by names and first bytes.
/// Error(kCheckpoint) when the system cannot tell.
NoModel look_at_no_model(const std::string& path);

/// The same as Error(kCheckpoint).
[[noreturn]] void refuse_no_model(const std::string& path);

}  // namespace moesaic
