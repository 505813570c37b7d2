// Corpora of the recipe to token files, each made once and kept under a digest of what it came
// from.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "config/recipe.h"
#include "core/log.h"
#include "data/document_encoder.h"
#include "data/tokenizer.h"

namespace moesaic {

/// A token file, and whether it was made of text here.
struct CorpusFile {
  std::string path;
  bool of_text = true;  // false: its ids were given

  bool operator==(const CorpusFile&) const = default;
};

/// What a source was when its token file was made or checked.
struct BuiltSource {
  CorpusFile file;
  /// Digest of what the token file holds: equal ones mean the same sequences.
  std::string digest;
  std::map<std::string, std::string> inputs;  // file -> digest of its content; none of a token file
  std::uint64_t bad_lines = 0;                // left out when it was made here
};

/// The token file of `source` in the folder `cache`: the one that is there, or a new one where
/// there is none or a damaged one. A source that is a single token file is checked and
/// taken as it is. Called by one rank; the others open the file that it returns. Error(kData) for
/// input that is missing, malformed or empty, Error(kCheckpoint) when the folder cannot be written.
/// `alive` is called once in a while.
BuiltSource build_token_file(const SourceOptions& source, const Tokenizer& tokenizer,
                             const std::string& cache, const Log& log,
                             const EncodeOptions& options = {},
                             const std::function<void()>& alive = {});

struct BuildOptions {
  std::vector<std::string> inputs;  // files or globs
  std::string format = "auto";      // as in a recipe
  EncodeOptions encode;
  std::string output;  // FILE.tokens
  int threads = 0;     // that tokenise; 0 = the cores that there are
};

/// `moesaic data build`: one token file of all inputs, which have one format. Returns what
/// inspect_token_file says of it.
Json build_output(const BuildOptions& options, const Log& log);

}  // namespace moesaic
