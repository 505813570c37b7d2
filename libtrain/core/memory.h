// What this process has used.
#pragma once

namespace moesaic {

/// Largest resident memory so far, in MiB.
double peak_memory_mb();

}  // namespace moesaic
