// Export: the weights of any model source become a Hugging Face folder, by one process, in pieces.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "core/log.h"

namespace moesaic {

struct ExportOptions {
  std::uint64_t max_shard_bytes = 5'000'000'000;  // of one file; a larger tensor has its own
  std::string dtype = "keep";            // keep: that of the hub where known, else the stored one;
                                         // float32 | bfloat16 | float16
  std::string adapter;                   // PEFT folder that is merged into the model; "" = none
  std::optional<std::string> base = {};  // of a run with adapters, where it has moved
  bool overwrite = false;                // replace what an export or import wrote
  bool allow_nonfinite = false;          // write weights that are NaN or infinite
};

/// Reads the model at `from` (anything that ModelSource opens) and writes the Hugging Face folder
/// `to`, which appears when it is whole: weights under the hub's names, config.json, and the small
/// files of the folder that the model came from. Error(kCheckpoint) when `from` is damaged, `to` is
/// there already, or a value does not fit the type.
void export_model(const std::string& from, const std::string& to, const ExportOptions& options,
                  const Log& log);

}  // namespace moesaic
