// What both programs do around their work.
#pragma once

#include <functional>

namespace moesaic {

/// Runs `work`, which gives an exit code, and returns that of the process. The standard streams are
/// there before it. What it throws is told on stderr, but for a reader that is gone. An output that
/// is not written to its end is an error, too.
int run_program(const std::function<int()>& work);

}  // namespace moesaic
