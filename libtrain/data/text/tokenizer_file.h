// A tokenizer.json, read but not yet understood: its vocabulary and merges, which are large, apart
// from the rest.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/json.h"
#include "data/text/vocabulary.h"

namespace moesaic {

struct TokenizerFile {
  using Merges = std::vector<std::pair<std::string, std::string>>;

  std::vector<Vocabulary::Entry> vocabulary;  // model.vocab
  std::optional<Merges> merges;               // model.merges, of strings or pairs
  Json rest;                                  // the file without these two
};

/// Error(kData) naming `where`; what the file may hold is bounded before it is read.
TokenizerFile read_tokenizer_file(std::string_view text, const std::string& where);

}  // namespace moesaic
