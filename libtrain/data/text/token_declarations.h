// What the files beside a tokenizer.json say of its tokens, as Transformers reads them.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "core/json.h"
#include "data/text/added_tokens.h"
#include "data/text/vocabulary.h"

namespace moesaic {

struct TokenDeclarations {
  /// added_tokens_decoder of tokenizer_config.json, or else added_tokens.json, by rising id. They
  /// replace tokens of the same text; a new one gets the next free id, whatever its own.
  std::vector<AddedToken> tokens;
  /// The former is not there: then a token of tokenizer.json goes before one of its id.
  bool of_old_form = false;
  /// "eos_token" ... -> token. New where no added token has its text.
  std::vector<std::pair<std::string, AddedToken>> named;
  /// Special tokens without a name, likewise.
  std::vector<AddedToken> extra;
  /// Special tokens in a text are text.
  bool split_special_tokens = false;

  /// The text of a named token; "" where there is none.
  std::string text_of(std::string_view name) const;
};

/// Of tokenizer_config.json, special_tokens_map.json and added_tokens.json; null where there is
/// none. Without an added_tokens_decoder the second goes before the first. Error(kData) naming
/// `where` and the key of what is damaged.
TokenDeclarations token_declarations(const Json& config, const Json& special_tokens_map,
                                     const Json& added_tokens, const std::string& where);

/// Adds them to the tokens of a tokenizer.json. True when that changed something.
bool add_declared_tokens(const TokenDeclarations& declarations, const Vocabulary& vocabulary,
                         std::vector<AddedToken>& tokens);

}  // namespace moesaic
