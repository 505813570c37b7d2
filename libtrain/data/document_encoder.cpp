#include "data/document_encoder.h"

#include <algorithm>
#include <span>
#include <utility>

#include "core/shared_beginning.h"
#include "data/chat/chat_targets.h"
#include "data/chat/template_source.h"
#include "data/json_line.h"

namespace moesaic {
namespace {

using Ids = std::vector<std::uint32_t>;

Json read_object(const std::string& line, const std::string& where) {
  Json json = parse_json(line, where);
  MOESAIC_CHECK(json.is_object(), ErrorKind::kData, "{}: {}, must be an object", where,
                json.type_name());
  return json;
}

const Json& member_of(const Json& line, const char* key, const std::string& where) {
  const auto found = line.find(key);
  MOESAIC_CHECK(found != line.end(), ErrorKind::kData, "{}: key \"{}\" is missing", where, key);
  return *found;
}

std::string text_of_wrong_user(const Json& user) {
  if (user.is_string()) return "an empty text";
  return user.is_number() ? "a number that is no whole one of 64 bits" : user.type_name();
}

// Whose the line is: its key "user".
std::string owner_of(const std::string& line, const std::string& where) {
  const Json json = read_object(line, where);
  const Json& user = member_of(json, "user", where);
  MOESAIC_CHECK((user.is_string() && user != "") || user.is_number_integer(), ErrorKind::kData,
                "{}: \"user\" is {}, must be a text that is not empty, or an integer", where,
                text_of_wrong_user(user));
  return user.is_string() ? user.get<std::string>() : user.dump();
}

// Where a byte of a text lies among its tokens.
struct TokenPlace {
  std::size_t index;  // of the first token that does not end before the byte
  bool inside;        // it begins before the byte
};

// The text before the byte is encoded alone. Where its end becomes other tokens than it does in the
// whole ("\n\n" alone, "\n" and "\n" before a word), those of the whole are told by their text.
TokenPlace place_of(std::size_t byte, std::string_view text, const Tokenizer& tokenizer,
                    const Ids& ids) {
  Ids before;
  tokenizer.encode(text.substr(0, byte), before);
  const std::size_t shared = shared_beginning(ids, before);
  TokenPlace place{shared, shared < before.size()};
  if (!place.inside) return place;
  const auto text_of = [&](std::span<const std::uint32_t> tokens) {
    return tokenizer.decode(tokens, /*keep_special=*/true);
  };
  const std::string rest = text_of(std::span(before).subspan(shared));
  for (std::size_t end = shared + 1; end <= std::min(ids.size(), shared + rest.size()); ++end) {
    const std::string found = text_of(std::span(ids).subspan(shared, end - shared));
    if (found.size() > 3 * rest.size()) break;  // a byte alone may be shown as one of three
    if (rest.starts_with(found)) place = {end, found.size() < rest.size()};
  }
  return place;
}

// Marks the tokens of `text` that have a byte of the span in them.
void mark_span(std::string_view text, const TextSpan& span, const Tokenizer& tokenizer,
               EncodedDocument& document) {
  const auto& ids = document.ids;
  const std::size_t begin = place_of(span.begin, text, tokenizer, ids).index;
  std::size_t end = ids.size();
  if (span.end < text.size()) {
    const TokenPlace place = place_of(span.end, text, tokenizer, ids);
    end = std::min(end, place.index + (place.inside ? 1 : 0));
  }
  for (std::size_t i = begin; i < end; ++i) document.may_be_target[i] = 1;
}

}  // namespace

DocumentEncoder::DocumentEncoder(DataFormat data_format, const EncodeOptions& options)
    : format_(data_format),
      learns_all_(options.loss_on == "all" || !has_completions(data_format)),
      skips_errors_(options.on_error == "skip"),
      names_owners_(options.owners),
      tokenizer_name_(options.tokenizer) {
  MOESAIC_CHECK(options.loss_on != "completion" || has_completions(data_format), ErrorKind::kRecipe,
                "data.loss_on is completion, and data of format {} have none; auto is right for "
                "sources of several formats",
                name_of(data_format));
  MOESAIC_CHECK(!names_owners_ || data_format != DataFormat::kText, ErrorKind::kRecipe,
                "data of format text have no users: privacy.unit user and --users need lines of "
                "JSON, each with a key \"user\"");
  if (skips_errors_) key_ = "skip\n";
  if (names_owners_) key_ += "owners\n";
  if (!has_completions(data_format)) return;
  const TemplateSource source = find_chat_template(options.chat_template, options.tokenizer);
  if (!source.text.empty()) chat_ = ChatTemplate::parse(source.text, source.where);
  if (data_format == DataFormat::kChat) chat(name_of(data_format));
  variables_ = source.variables;
  constexpr int kRules = 2;  // by which targets are told: files of other rules are made again
  key_ += Json{{"template", source.text},
               {"variables", variables_},
               {"all", learns_all_},
               {"rules", kRules}}
              .dump();
  key_ += "\n";
}

const ChatTemplate& DocumentEncoder::chat(const std::string& where) const {
  if (!chat_) {
    throw Error(ErrorKind::kRecipe,
                format("{}: messages need a chat template, and the tokenizer {} has none", where,
                       tokenizer_name_),
                "name a file with one: data.chat_template");
  }
  return *chat_;
}

std::string DocumentEncoder::key() const { return key_; }

// What templates and tokenizers refuse does not name the line.
EncodedDocument DocumentEncoder::encode(const std::string& text, const std::string& where,
                                        const Tokenizer& tokenizer) const {
  try {
    EncodedDocument document = encode_line(text, where, tokenizer);
    if (names_owners_) document.owner = owner_of(text, where);
    return document;
  } catch (const Error& error) {
    const std::string reason = error.what();
    if (reason.starts_with(where)) throw;
    throw Error(error.kind(), format("{}: {}", where, reason), error.hint());
  }
}

EncodedDocument DocumentEncoder::encode_line(const std::string& text, const std::string& where,
                                             const Tokenizer& tokenizer) const {
  switch (format_) {
    case DataFormat::kText:
      return of_text(text, tokenizer);
    case DataFormat::kJsonl:
      return of_text(read_text_line(text, where), tokenizer);
    case DataFormat::kTokens:
      return {read_ids_line(text, where), {}};
    case DataFormat::kPromptCompletion:
      return of_prompt(read_object(text, where), where, tokenizer);
    case DataFormat::kChat:
      return of_chat(read_object(text, where), where, tokenizer);
    case DataFormat::kTokenFile:
      break;
  }
  MOESAIC_ASSERT(false);
  return {};
}

EncodedDocument DocumentEncoder::of_text(std::string_view text, const Tokenizer& tokenizer) const {
  EncodedDocument document;
  tokenizer.encode(text, document.ids);
  const auto end = tokenizer.end_of_text();
  if (!document.ids.empty() && end) document.ids.push_back(*end);
  return document;
}

EncodedDocument DocumentEncoder::of_prompt(const Json& line, const std::string& where,
                                           const Tokenizer& tokenizer) const {
  const Json& prompt = member_of(line, "prompt", where);
  const Json& completion = member_of(line, "completion", where);
  Ids before, all;
  if (prompt.is_array() && completion.is_array()) {
    const Json messages = read_prompt_and_completion(prompt, completion, where);
    const Json variables = variables_of(line, where);
    tokenizer.encode(chat(where).render(first_messages(messages, prompt.size()), {true, variables}),
                     before);
    tokenizer.encode(chat(where).render(messages, {false, variables}), all);
    return with_completion(before, std::move(all), where);
  }
  MOESAIC_CHECK(prompt.is_string() && completion.is_string(), ErrorKind::kData,
                "{}: \"prompt\" is {} and \"completion\" {}, must be two texts or two lists of "
                "messages",
                where, prompt.type_name(), completion.type_name());
  const auto& asked = prompt.get_ref<const std::string&>();
  const auto& answer = completion.get_ref<const std::string&>();
  MOESAIC_CHECK(!answer.empty(), ErrorKind::kData, "{}: \"completion\" is empty", where);
  tokenizer.encode_with_special(asked, before);
  tokenizer.encode_with_special(asked + answer, all);
  const auto end = tokenizer.end_of_text();
  if (end && (all.empty() || all.back() != *end)) all.push_back(*end);
  return with_completion(before, std::move(all), where);
}

EncodedDocument DocumentEncoder::with_completion(const Ids& prompt, Ids ids,
                                                 const std::string& where) const {
  const std::size_t begin = shared_beginning(prompt, ids);
  MOESAIC_CHECK(begin < ids.size(), ErrorKind::kData,
                "{}: the completion adds no token to the prompt", where);
  EncodedDocument document{std::move(ids), {}};
  if (learns_all_) return document;
  document.may_be_target.assign(document.ids.size(), 1);
  std::fill_n(document.may_be_target.begin(), begin, std::uint8_t{0});
  return document;
}

EncodedDocument DocumentEncoder::of_chat(const Json& line, const std::string& where,
                                         const Tokenizer& tokenizer) const {
  const Conversation conversation = read_conversation(line, where);
  const Json variables = variables_of(line, where);
  EncodedDocument document;
  if (learns_all_) {
    tokenizer.encode(chat(where).render(conversation.messages, {false, variables}), document.ids);
    return document;
  }
  const RenderedChat rendered = render_with_targets(chat(where), variables, conversation, where);
  tokenizer.encode(rendered.text, document.ids);
  document.may_be_target.assign(document.ids.size(), 0);
  for (const TextSpan& span : rendered.generated)
    mark_span(rendered.text, span, tokenizer, document);
  return document;
}

// The line's tools are the template's: a list, or one written as a text.
Json DocumentEncoder::variables_of(const Json& line, const std::string& where) const {
  Json variables = variables_;
  const auto found = line.find("tools");
  if (found == line.end()) return variables;
  const Json tools = found->is_string() ? parse_json(found->get_ref<const std::string&>(),
                                                     format("{}: \"tools\"", where))
                                        : *found;
  if (tools.is_null()) return variables;
  MOESAIC_CHECK(tools.is_array(), ErrorKind::kData, "{}: \"tools\" is {}, must be a list", where,
                tools.type_name());
  variables["tools"] = tools;
  return variables;
}

}  // namespace moesaic
