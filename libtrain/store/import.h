// Import: a Hugging Face folder, a GGUF file, or a PEFT folder becomes a checkpoint folder, by one
// process, in pieces.
#pragma once

#include <string>

#include "arch/upcycle.h"
#include "core/log.h"

namespace moesaic {

struct ImportOptions {
  bool overwrite = false;        // replace what an export or import wrote
  bool allow_nonfinite = false;  // take weights that are NaN or infinite
  std::string base;              // model of the adapter in a PEFT folder; "" = no PEFT folder
  arch::UpcycleOptions upcycle;  // num_experts 0 = the model as it is
  std::uint64_t seed = 1234;     // of upcycling
};

/// Reads the Hugging Face folder or GGUF file `from`, and writes the checkpoint folder `to`, which
/// appears when it is whole. Weights keep their dtypes; the small files go to hub/. With a base
/// `from` is a PEFT folder, and `to` holds the adapter alone and speaks of the base, as a
/// checkpoint of a run with adapters does: the way back of export_adapter(). Error(kCheckpoint)
/// when `from` is damaged or does not fit its config.json or the base, or `to` is there already.
void import_model(const std::string& from, const std::string& to, const ImportOptions& options,
                  const Log& log);

}  // namespace moesaic
