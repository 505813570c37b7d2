// Prompt: what a model is asked, as token ids, and what ends its answer: all that `generate` takes
// from the small files beside the weights.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "data/chat/chat_template.h"
#include "data/tokenizer.h"
#include "store/model_files.h"

namespace moesaic {

struct Prompt {
  struct Options {
    bool chat = false;   // `text` is a user's message: apply the model's chat template
    std::string system;  // message before it; "" = none
    std::int64_t vocab_size = 0;
  };

  /// By this process alone, without ids: encode() makes those of any number of texts. Error(kData,
  /// kCheckpoint) when the model has no tokenizer or no template.
  static Prompt open(const ModelFiles& files, const Options& options);
  /// As above, with the ids of `text`.
  static Prompt make(const ModelFiles& files, const std::string& text, const Options& options);

  /// A text is encoded as the tokenizer's post-processor says, a chat as its template writes it.
  /// Error(kData) for an id that the model has no embedding for, and that names `where` for a text
  /// that is no UTF-8 where it must be.
  std::vector<std::uint32_t> encode(const std::string& text, const std::string& where) const;

  std::optional<ChatTemplate> chat;  // a text is a user's message
  Json chat_variables = Json::object();
  std::string system_message;
  std::int64_t vocabulary = 0;
  std::unique_ptr<Tokenizer> tokenizer;
  std::vector<std::uint32_t> ids;
  std::vector<std::uint32_t> end_ids;  // eos_token_id of the model, or the tokenizer's end of text
};

}  // namespace moesaic
