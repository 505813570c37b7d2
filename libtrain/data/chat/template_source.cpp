#include "data/chat/template_source.h"

#include "core/fs.h"
#include "data/text/text_tokenizer.h"

namespace moesaic {

std::string chat_template_text(const std::string& own, const Json& tokenizer_config) {
  if (!own.empty()) return own;
  const auto found = tokenizer_config.find("chat_template");
  if (found == tokenizer_config.end()) return "";
  if (found->is_string()) return found->get<std::string>();
  if (!found->is_array()) return "";
  for (const Json& one : *found) {
    if (one.is_object() && one.value("name", "") == "default") return one.value("template", "");
  }
  return "";
}

Json template_variables(const TokenDeclarations& declarations) {
  Json variables = Json::object();
  for (const auto& [name, token] : declarations.named) variables[name] = token.content;
  return variables;
}

TemplateSource find_chat_template(const std::optional<std::string>& file,
                                  const std::string& tokenizer) {
  TemplateSource found;
  if (tokenizer != "byte") {
    const TokenizerTexts texts = read_tokenizer_texts(tokenizer);
    const Json config =
        texts.config.empty() ? Json::object() : parse_json(texts.config, texts.where);
    found.text = chat_template_text(texts.chat_template, config);
    found.where = texts.where + ": chat_template";
    found.variables = template_variables(declarations_of(texts));
  }
  if (file) {
    found.text = read_file(*file, ErrorKind::kRecipe);
    found.where = *file;
  }
  return found;
}

}  // namespace moesaic
