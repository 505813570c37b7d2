// Import: a Hugging Face folder, a GGUF file, or an adapter merged into its model becomes a
// checkpoint folder, by one process, in pieces.
#pragma once

#include <string>

#include "arch/upcycle.h"
#include "core/log.h"

namespace moesaic {

struct ImportOptions {
  bool overwrite = false;        // replace what an export or import wrote
  bool allow_nonfinite = false;  // take weights that are NaN or infinite
  std::string base;              // model that the PEFT folder is merged into; "" = no PEFT folder
  arch::UpcycleOptions upcycle;  // num_experts 0 = the model as it is
  std::uint64_t seed = 1234;     // of upcycling
};

/// Reads the Hugging Face folder or GGUF file `from`, or with a base its PEFT folder, and writes
/// the checkpoint folder `to`, which appears when it is whole. Weights keep their dtypes; the small
/// files go to hub/. Error(kCheckpoint) when `from` is damaged or does not fit its config.json, or
/// `to` is there already.
void import_model(const std::string& from, const std::string& to, const ImportOptions& options,
                  const Log& log);

}  // namespace moesaic
