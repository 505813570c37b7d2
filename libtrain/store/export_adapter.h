// Export of an adapter as a PEFT folder, in the layout of experts that its readers need.
#pragma once

#include <string>

#include "store/peft_writer.h"

namespace moesaic {

struct AdapterExportOptions {
  std::string base;  // the model that it belongs to; "" = the one that it names
  ExpertLayout layout = ExpertLayout::kPerExpert;
  bool overwrite = false;  // replace what an export wrote
};

/// Reads the adapter at `from`, a PEFT folder or a run with adapters, and writes the PEFT folder
/// `to`, which appears when it is whole. By this process alone. Error(kCheckpoint) when the adapter
/// is damaged or of another model, or something is at `to`; Error(kUsage) when its model is not
/// found; what peft_files() refuses.
void export_adapter(const std::string& from, const std::string& to,
                    const AdapterExportOptions& options);

}  // namespace moesaic
