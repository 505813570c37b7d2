// What is in a run folder, a checkpoint folder, a Hugging Face folder or a file of weights, by one
// process without MPI.
#pragma once

#include <string>

#include "core/json.h"

namespace moesaic {

/// Error(kCheckpoint) when there is nothing to inspect at `path`; damage inside is reported, not
/// thrown.
/// {"kind": "run" | "checkpoint" | "hdf5", "path", "whole", "problem" (when not whole), "step",
///  "parameters", "training", "files",
///  "datasets": [{"file", "name", "shape", "dtype", "whole", "digest"}]}
/// "digest" is the XXH3-128 of all little-endian bytes of the values. Kinds "safetensors" and
/// "hub": see inspect_hub.h. A run also has "checkpoints": [{"path", "step", "whole", "problem"}],
/// newest first, and the rest is that of its newest whole checkpoint. An HDF5 file alone has no
/// digests: no "step" and "training", and "whole" says that its values could be read.
Json inspect_path(const std::string& path);

/// The same for people: a few lines and a table.
std::string inspect_text(const Json& inspected);

}  // namespace moesaic
