#include "data/text/token_declarations.h"

#include <algorithm>
#include <charconv>
#include <unordered_map>
#include <unordered_set>

#include "core/error.h"
#include "data/text/json_fields.h"

namespace moesaic {
namespace {

constexpr std::size_t kMostDeclared = 100'000;
// In the order in which new ones get their ids.
constexpr std::string_view kNames[] = {"bos_token", "eos_token", "unk_token", "sep_token",
                                       "pad_token", "cls_token", "mask_token"};

AddedToken token_of(const JsonPart& part, bool special) {
  if (part.json().is_string())
    return {.content = part.json().get<std::string>(), .special = special, .normalized = !special};
  AddedToken token{.content = part.text("content"),
                   .special = special || part.flag("special", false),
                   .single_word = part.flag("single_word", false),
                   .lstrip = part.flag("lstrip", false),
                   .rstrip = part.flag("rstrip", false)};
  token.normalized = part.flag("normalized", !token.special);
  return token;
}

std::uint32_t id_of(const std::string& text, const JsonPart& part) {
  std::uint32_t id = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), id);
  if (error != std::errc() || end != text.data() + text.size() || id > INT32_MAX)
    part.fail(format("'{}' is no token id", printable(text)));
  return id;
}

// An object's member, or null; `json` may be null, too.
Json member(const Json& json, std::string_view key) {
  const auto found = json.is_object() ? json.find(key) : json.end();
  return json.is_object() && found != json.end() ? *found : Json();
}

// Keys of `over` take the place of those of `under`.
Json merged(Json under, const Json& over) {
  if (!under.is_object()) under = Json::object();
  if (over.is_object())
    for (const auto& [key, value] : over.items()) under[key] = value;
  return under;
}

void read_decoder(const JsonPart& decoder, TokenDeclarations& out) {
  if (!decoder.json().is_object()) decoder.fail("must be an object of tokens by id");
  for (const auto& [key, value] : decoder.json().items()) {
    const JsonPart part(value, format("{}.{}", decoder.where(), printable(key)));
    if (!value.is_object()) part.fail("must be a token");
    AddedToken token = token_of(part, /*special=*/false);
    token.id = id_of(key, part);
    out.tokens.push_back(std::move(token));
  }
}

void read_added(const JsonPart& added, TokenDeclarations& out) {
  out.of_old_form = true;
  if (added.is_null()) return;
  if (!added.json().is_object()) added.fail("must be an object of ids by token");
  for (const auto& [key, value] : added.json().items()) {
    if (!value.is_number_unsigned() || value.get<std::uint64_t>() > INT32_MAX)
      added.fail(format("'{}' has no token id", printable(key)));
    out.tokens.push_back({.content = key, .id = value.get<std::uint32_t>(), .normalized = true});
  }
}

bool is_name(std::string_view key) {
  return std::find(std::begin(kNames), std::end(kNames), key) != std::end(kNames);
}

void read_named(const JsonPart& settings, TokenDeclarations& out) {
  const auto add = [&](const std::string& name, const JsonPart& part) {
    if (part.is_null()) return;
    if (!part.json().is_string() && !part.json().is_object())
      part.fail("must be a token: a string, or an object with its content");
    out.named.emplace_back(name, token_of(part, /*special=*/true));
  };
  for (const std::string_view name : kNames) add(std::string(name), settings.part(name));
  for (const auto& [key, value] : settings.json().items())
    if (key.ends_with("_token") && !is_name(key) && value.is_string()) add(key, settings.part(key));
  for (const char* const key : {"model_specific_special_tokens", "extra_special_tokens"}) {
    const JsonPart part = settings.part(key);
    if (!part.json().is_object()) continue;
    for (const auto& [name, value] : part.json().items()) add(name, part.part(name));
  }
}

void read_extra(const JsonPart& settings, TokenDeclarations& out) {
  const char* const key =
      settings.has("extra_special_tokens") ? "extra_special_tokens" : "additional_special_tokens";
  const JsonPart part = settings.part(key);
  if (part.is_null() || part.json().is_object()) return;
  for (const JsonPart& one : settings.parts(key)) {
    if (!one.json().is_string() && !one.json().is_object()) one.fail("must be a token");
    out.extra.push_back(token_of(one, /*special=*/true));
  }
}

bool same(const AddedToken& a, const AddedToken& b) {
  return a.content == b.content && a.special == b.special && a.single_word == b.single_word &&
         a.lstrip == b.lstrip && a.rstrip == b.rstrip && a.normalized == b.normalized;
}

class Adder {
 public:
  Adder(const Vocabulary& vocabulary, std::vector<AddedToken>& tokens)
      : vocabulary_(vocabulary), tokens_(tokens) {
    for (std::size_t i = 0; i < tokens.size(); ++i) {
      places_.emplace(tokens[i].content, i);
      ids_.insert(tokens[i].id);
      next_ = std::max(next_, tokens[i].id + 1);
    }
    next_ = std::max(next_, static_cast<std::uint32_t>(vocabulary.entries().size()));
  }

  bool has_id(std::uint32_t id) const { return ids_.contains(id); }
  bool has_text(const std::string& text) const { return places_.contains(text); }

  void add(AddedToken token) {
    if (token.content.empty()) return;
    changed = true;
    const auto [place, is_new] = places_.emplace(token.content, tokens_.size());
    if (is_new) {
      token.id = vocabulary_.id(token.content).value_or(next_);
      next_ = std::max(next_, token.id + 1);
      tokens_.push_back(std::move(token));
    } else {
      AddedToken& old = tokens_[place->second];
      token.id = old.id;
      token.special = token.special || old.special;  // decoding goes on to leave it out
      old = std::move(token);
    }
  }

  /// Unless it is there already with the same properties.
  void declare(AddedToken token, bool is_named) {
    const auto place = places_.find(token.content);
    if (place != places_.end() && same(tokens_[place->second], token)) return;
    token.special = token.special || is_named;
    add(std::move(token));
  }

  bool changed = false;

 private:
  const Vocabulary& vocabulary_;
  std::vector<AddedToken>& tokens_;
  std::unordered_map<std::string, std::size_t> places_;  // by text
  std::unordered_set<std::uint32_t> ids_;                // of the file's own tokens
  std::uint32_t next_ = 0;                               // the next free id
};

}  // namespace

std::string TokenDeclarations::text_of(std::string_view name) const {
  for (const auto& [key, token] : named)
    if (key == name) return token.content;
  return "";
}

TokenDeclarations token_declarations(const Json& config, const Json& special_tokens_map,
                                     const Json& added_tokens, const std::string& where) {
  for (const Json* const json : {&config, &special_tokens_map})
    MOESAIC_CHECK(json->is_null() || json->is_object(), ErrorKind::kData,
                  "{}: tokenizer_config.json and special_tokens_map.json are objects", where);
  const std::string config_where = where + ": tokenizer_config.json";
  TokenDeclarations out;
  const Json decoder = member(config, "added_tokens_decoder");
  if (decoder.is_null())
    read_added({added_tokens, where + ": added_tokens.json"}, out);
  else
    read_decoder({decoder, config_where + ".added_tokens_decoder"}, out);
  const Json merged_settings = merged(config, out.of_old_form ? special_tokens_map : Json());
  const JsonPart settings(merged_settings, config_where);
  read_named(settings, out);
  read_extra(settings, out);
  out.split_special_tokens = settings.flag("split_special_tokens", false);
  MOESAIC_CHECK(out.tokens.size() + out.named.size() + out.extra.size() <= kMostDeclared,
                ErrorKind::kData, "{}: more than {} tokens", config_where, kMostDeclared);
  std::stable_sort(out.tokens.begin(), out.tokens.end(),
                   [](const AddedToken& a, const AddedToken& b) { return a.id < b.id; });
  return out;
}

bool add_declared_tokens(const TokenDeclarations& declarations, const Vocabulary& vocabulary,
                         std::vector<AddedToken>& tokens) {
  std::unordered_set<std::string> named, special;
  for (const auto& [name, token] : declarations.named) named.insert(token.content);
  special = named;
  for (const AddedToken& token : declarations.extra) special.insert(token.content);
  Adder adder(vocabulary, tokens);
  for (AddedToken token : declarations.tokens) {
    if (declarations.of_old_form) {
      if (adder.has_id(token.id)) continue;
      token.special = special.contains(token.content);
      token.normalized = !token.special;
    }
    const bool is_named = named.contains(token.content);
    adder.declare(std::move(token), is_named);
  }
  const auto add_new = [&adder](const AddedToken& token) {
    if (!adder.has_text(token.content)) adder.add(token);
  };
  for (const auto& [name, token] : declarations.named) add_new(token);
  for (const AddedToken& token : declarations.extra) add_new(token);
  return adder.changed;
}

}  // namespace moesaic
