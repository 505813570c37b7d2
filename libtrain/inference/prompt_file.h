// PromptFile: the JSONL of prompts that `generate --input` reads.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "data/input_file.h"
#include "inference/prompt.h"

namespace moesaic {

class PromptFile {
 public:
  /// Error(kData) when it cannot be read.
  explicit PromptFile(const std::string& path) : input_(path) {}

  /// The ids of the next line, {"prompt": text}, {"text": text} or {"ids": [...]}, of which a text
  /// is encoded as `prompt` says. False at the end. Error(kData) with file and line for what is
  /// wrong in it, and for one that has no ids.
  bool next(const Prompt& prompt, std::vector<std::uint32_t>& ids);
  /// "path:line" of the last one.
  std::string where() const { return input_.where(); }

 private:
  InputFile input_;
};

}  // namespace moesaic
