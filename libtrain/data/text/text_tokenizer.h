// TextTokenizer: the tokenizer of a tokenizer.json (Hugging Face tokenizers), with the ids of that
// library.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "data/tokenizer.h"

namespace moesaic {

/// From the text of the file. `end_of_text`: the token that ends a document, empty where there is
/// none. Error(kData) naming `where` for a damaged file and for parts that are not supported, by
/// name.
std::unique_ptr<Tokenizer> text_tokenizer(std::string_view json, const std::string& where,
                                          const std::string& end_of_text = "");

/// "eos_token" or another special token of a tokenizer_config.json: text, or an object with its
/// content; "" where there is none.
std::string special_token(const Json& tokenizer_config, const std::string& key);

/// A tokenizer as text.
struct TokenizerTexts {
  std::string where;   // for messages
  std::string json;    // tokenizer.json
  std::string config;  // tokenizer_config.json; "" where there is none
};

/// Of tokenizer.json at `path`, or in the folder `path`, or of the GGUF file `path`.
TokenizerTexts read_tokenizer_texts(const std::string& path);

/// The token that ends a document is eos_token of the configuration, else a special token with a
/// usual name.
std::unique_ptr<Tokenizer> text_tokenizer(const TokenizerTexts& texts);
std::unique_ptr<Tokenizer> read_tokenizer(const std::string& path);

}  // namespace moesaic
