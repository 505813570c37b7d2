// Which folders an export or import wrote: those alone may be replaced.
#pragma once

#include <string>

namespace moesaic {

/// In an export: its files with sizes and digests. Hidden, so that it is no part of the model.
inline constexpr const char* kExportMark = ".moesaic-export.json";

/// Writes the mark of a finished export. `folder` holds files only.
void mark_export(const std::string& folder);

/// Error(kCheckpoint), naming one, when something is in `folder` that no export or import wrote, or
/// that has changed since. Exports without a mark, of former versions, are known by a config.json
/// as only Moesaic writes it, where nothing is beside it but weights and a tokenizer.
void require_own_folder(const std::string& folder);

}  // namespace moesaic
