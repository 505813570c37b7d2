// Where the chat template of a tokenizer is.
#pragma once

#include <optional>
#include <string>

#include "core/json.h"
#include "data/text/token_declarations.h"

namespace moesaic {

/// A chat template that is not read yet, and what it knows beside the messages: bos_token,
/// eos_token and the like.
struct TemplateSource {
  std::string text;   // "" = there is none
  std::string where;  // for messages
  Json variables = Json::object();
};

/// Of the files beside a tokenizer: `own` is chat_template.jinja, which goes before what
/// tokenizer_config.json has: a text, or the one called default of several. "" where there is none.
std::string chat_template_text(const std::string& own, const Json& tokenizer_config);

/// The named tokens.
Json template_variables(const TokenDeclarations& declarations);

/// The template in `file`, or else that of the tokenizer that a recipe names `tokenizer`.
TemplateSource find_chat_template(const std::optional<std::string>& file,
                                  const std::string& tokenizer);

}  // namespace moesaic
