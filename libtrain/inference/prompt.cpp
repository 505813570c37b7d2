#include "inference/prompt.h"

#include <algorithm>

#include "core/error.h"
#include "data/chat/chat_template.h"
#include "data/chat/template_source.h"
#include "data/text/text_tokenizer.h"
#include "data/text/unicode.h"

namespace moesaic {
namespace {

// A number or a list of numbers, as generation_config.json and config.json have it.
void add_ids(const Json& config, const char* key, std::vector<std::uint32_t>& ids) {
  const auto found = config.find(key);
  if (found == config.end()) return;
  const auto add = [&](const Json& id) {
    if (id.is_number_unsigned()) ids.push_back(id.get<std::uint32_t>());
  };
  if (found->is_array())
    for (const Json& id : *found) add(id);
  else
    add(*found);
}

std::vector<std::uint32_t> find_end_ids(const ModelFiles& files, const Tokenizer& tokenizer) {
  std::vector<std::uint32_t> ids;
  for (const char* name : {"generation_config.json", "config.json"}) {
    if (ids.empty()) add_ids(files.object(name), "eos_token_id", ids);
  }
  if (ids.empty() && tokenizer.end_of_text()) ids.push_back(*tokenizer.end_of_text());
  return ids;
}

std::string chat_template_of(const ModelFiles& files) {
  std::string text = chat_template_text(files.text("chat_template.jinja"),
                                        files.object("tokenizer_config.json"));
  if (!text.empty()) return text;
  throw Error(ErrorKind::kData, format("{} comes without a chat template", files.path()),
              "leave --chat out, or use a model that was trained for it");
}

Json chat_messages(const std::string& text, const std::string& where, const std::string& system) {
  Json messages = Json::array();
  unicode::require_valid(text, where);
  unicode::require_valid(system, "--system");
  if (!system.empty()) messages.push_back({{"role", "system"}, {"content", system}});
  messages.push_back({{"role", "user"}, {"content", text}});
  return messages;
}

void check_ids(const std::vector<std::uint32_t>& ids, std::int64_t vocab_size) {
  const auto highest = std::max_element(ids.begin(), ids.end());
  MOESAIC_CHECK(highest == ids.end() || *highest < vocab_size, ErrorKind::kData,
                "the tokenizer gives the id {}, and the model has {}: it is not its tokenizer",
                *highest, vocab_size);
}

}  // namespace

Prompt Prompt::open(const ModelFiles& files, const Options& options) {
  Prompt prompt;
  prompt.vocabulary = options.vocab_size;
  prompt.system_message = options.system;
  prompt.tokenizer = files.tokenizer();
  if (!prompt.tokenizer) {
    throw Error(ErrorKind::kData, format("{} comes without a tokenizer", files.path()),
                "put the model's tokenizer.json beside its config.json");
  }
  prompt.end_ids = find_end_ids(files, *prompt.tokenizer);
  if (!options.chat) return prompt;
  prompt.chat = ChatTemplate::parse(chat_template_of(files), files.path() + ": chat_template");
  prompt.chat_variables = template_variables(files.declarations());
  return prompt;
}

Prompt Prompt::make(const ModelFiles& files, const std::string& text, const Options& options) {
  Prompt prompt = open(files, options);
  prompt.ids = prompt.encode(text, "the prompt");
  return prompt;
}

std::vector<std::uint32_t> Prompt::encode(const std::string& text, const std::string& where) const {
  std::vector<std::uint32_t> encoded;
  if (chat) {
    const Json messages = chat_messages(text, where, system_message);
    tokenizer->encode(chat->render(messages, {.variables = chat_variables}), encoded);
  } else {
    tokenizer->require_text(text, where);
    tokenizer->encode_with_special(text, encoded);
  }
  check_ids(encoded, vocabulary);
  return encoded;
}

}  // namespace moesaic
