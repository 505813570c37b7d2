// The data of a recipe: the chief builds the token files, every rank opens them.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "config/recipe.h"
#include "core/json.h"
#include "core/log.h"
#include "data/corpus.h"
#include "data/eval_batches.h"
#include "data/token_stream.h"
#include "data/tokenizer.h"

namespace moesaic {

/// Token files of `data.train` and `data.valid`, in the order of the recipe.
struct CorpusPaths {
  std::vector<CorpusFile> train;
  std::vector<CorpusFile> valid;

  /// Whether a tokenizer made ids for any of them.
  bool any_of_text() const;
  std::string packed() const;  // as the chief broadcasts them
  static CorpusPaths unpacked(const std::string& text);
};

struct BuiltCorpora {
  CorpusPaths paths;
  /// {"train": [{"path": of the recipe, "digest", "files": {name: digest}}, ...], "valid": [...]}:
  /// by which a checkpoint knows its data again. Sources of very many files have no "files".
  Json description;
};

/// How the recipe makes ids of documents.
EncodeOptions encode_options(const Recipe& recipe);

/// Chief only. Token files that are not there yet go to the folder `cache`. `alive` is called once
/// in a while.
BuiltCorpora build_corpora(const Recipe& recipe, const Tokenizer& tokenizer,
                           const std::string& cache, const Log& log,
                           const std::function<void()>& alive = {});

/// Error(kData), naming the source, for token ids of `vocab_size` or above.
std::vector<Sequences> open_train_sources(const Recipe& recipe, const CorpusPaths& paths,
                                          std::int64_t vocab_size);
/// The same for the units of privacy (data/unit_list.h): documents and users have sequences that
/// nobody shares, which best_fit lays together in a step's micro-batches.
std::vector<Sequences> open_unit_sources(const Recipe& recipe, const CorpusPaths& paths,
                                         std::int64_t vocab_size);
TokenStream open_train(const Recipe& recipe, const CorpusPaths& paths, std::int64_t vocab_size,
                       const StreamOptions& stream);
EvalBatches open_valid(const Recipe& recipe, const CorpusPaths& paths, std::int64_t vocab_size);

}  // namespace moesaic
