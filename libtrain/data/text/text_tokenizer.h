// TextTokenizer: the tokenizer of a tokenizer.json (Hugging Face tokenizers), with the ids of that
// library.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "data/text/token_declarations.h"
#include "data/tokenizer.h"

namespace moesaic {

/// From the text of the file. The token that ends a document is the eos_token that is declared,
/// else one with a usual name. Error(kData) naming `where` for a damaged file and for parts that
/// are not supported, by name.
std::unique_ptr<Tokenizer> text_tokenizer(std::string_view json, const std::string& where,
                                          const TokenDeclarations& declarations = {});

/// A tokenizer as text.
struct TokenizerTexts {
  std::string where;  // for messages
  std::string json;   // tokenizer.json
  // Files beside it; "" where there is none.
  std::string config;              // tokenizer_config.json
  std::string special_tokens_map;  // special_tokens_map.json
  std::string added_tokens;        // added_tokens.json
  std::string chat_template = {};  // chat_template.jinja
};

/// Of tokenizer.json at `path`, or in the folder `path`, or of the GGUF file `path`.
TokenizerTexts read_tokenizer_texts(const std::string& path);

TokenDeclarations declarations_of(const TokenizerTexts& texts);

std::unique_ptr<Tokenizer> text_tokenizer(const TokenizerTexts& texts);
std::unique_ptr<Tokenizer> read_tokenizer(const std::string& path);

}  // namespace moesaic
