// Prompt: what a model is asked, as token ids, and what ends its answer: all that `generate` takes
// from the small files beside the weights.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "data/tokenizer.h"
#include "store/model_files.h"

namespace moesaic {

struct Prompt {
  struct Options {
    bool chat = false;   // `text` is a user's message: apply the model's chat template
    std::string system;  // message before it; "" = none
    std::int64_t vocab_size = 0;
  };

  /// By this process alone. A text is encoded as the tokenizer's post-processor says, a chat as its
  /// template writes it. Error(kData, kCheckpoint) when the model has no tokenizer, no template, or
  /// too few embeddings for an id, and for a text that is no UTF-8 where it must be.
  static Prompt make(const ModelFiles& files, const std::string& text, const Options& options);

  std::unique_ptr<Tokenizer> tokenizer;
  std::vector<std::uint32_t> ids;
  std::vector<std::uint32_t> end_ids;  // eos_token_id of the model, or the tokenizer's end of text
};

}  // namespace moesaic
