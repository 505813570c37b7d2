// Which format files of data have: what `format` says; where it is auto, what they hold, with their
// names as a hint. Every program that reads data asks here.
#pragma once

#include <string>
#include <vector>

#include "config/recipe.h"
#include "core/log.h"

namespace moesaic {

enum class DataFormat {
  kText,              // a file is a document
  kJsonl,             // {"text": "..."} a line
  kTokens,            // {"ids": [...]} a line
  kPromptCompletion,  // {"prompt": ..., "completion": ...} a line
  kChat,              // {"messages": [...]} a line
  kTokenFile          // made by `moesaic data build`
};

/// As a recipe calls it.
const char* name_of(DataFormat format);

/// Text that a tokenizer makes ids of; the others are ids.
bool is_of_text(DataFormat format);
/// Of which a part answers the rest.
bool has_completions(DataFormat format);

struct DataFiles {
  std::vector<std::string> files;
  DataFormat format = DataFormat::kText;
  std::vector<std::string> warnings;  // where files look as if they had another format
};

/// The format of all `files`, which are not empty; `wanted`: auto, or the name of one.
/// Reads their beginnings. Error(kRecipe) for another name. Error(kData) that names the file where
/// it cannot have the format wanted, or where auto finds none, or several.
DataFiles with_format(std::vector<std::string> files, const std::string& wanted);

/// The files that `source` names, with their format. Error(kData) also when there is none.
DataFiles find_data(const SourceOptions& source, const Log& log);

}  // namespace moesaic
