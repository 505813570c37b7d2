#include "store/model_files.h"

#include <algorithm>
#include <filesystem>

#include "config/gguf_header.h"
#include "core/error.h"
#include "core/fs.h"
#include "core/path.h"

namespace moesaic {
namespace {

namespace fs = std::filesystem;

constexpr const char* kTokenizer = "tokenizer.json";
constexpr const char* kTokenizerConfig = "tokenizer_config.json";
constexpr const char* kSpecialTokensMap = "special_tokens_map.json";
constexpr const char* kAddedTokens = "added_tokens.json";
constexpr const char* kGenerationConfig = "generation_config.json";
// Files in which a folder describes its tokenizer and how it is used.
constexpr const char* kOfTokenizer[] = {
    kTokenizer,   kTokenizerConfig, kSpecialTokensMap, kAddedTokens,          "vocab.json",
    "merges.txt", "vocab.txt",      "tokenizer.model", "chat_template.jinja", kGenerationConfig};

std::map<std::string, std::string> files_of(const std::string& spec) {
  const TokenizerTexts texts = read_tokenizer_texts(spec);
  std::map<std::string, std::string> files = {{kTokenizer, texts.json}};
  if (!texts.config.empty()) files[kTokenizerConfig] = texts.config;
  const fs::path folder = fs::path(texts.where).parent_path();
  for (const char* const name : kOfTokenizer) {
    if (is_gguf(spec) || files.contains(name) || !is_file((folder / name).string())) continue;
    files[name] = read_file((folder / name).string(), ErrorKind::kData);
  }
  return files;
}

}  // namespace

ModelFiles::ModelFiles(const RankContext& context, const ModelSource& source)
    : path_(source.path()), files_(source.origin(context).files), tokenizer_(source.tokenizer()) {}

const std::string& ModelFiles::text(const std::string& name) const {
  static const std::string kNone;
  const auto found = files_.find(name);
  return found == files_.end() ? kNone : found->second;
}

Json ModelFiles::object(const std::string& name) const {
  if (!files_.contains(name)) return Json::object();
  Json json = parse_json(text(name), path_ + "/" + name);
  MOESAIC_CHECK(json.is_object(), ErrorKind::kData, "{}/{} holds no JSON object", path_, name);
  return json;
}

TokenizerTexts ModelFiles::texts() const {
  return {path_ + "/" + kTokenizer, text(kTokenizer), text(kTokenizerConfig),
          text(kSpecialTokensMap), text(kAddedTokens)};
}

TokenDeclarations ModelFiles::declarations() const { return declarations_of(texts()); }

std::unique_ptr<Tokenizer> ModelFiles::read_tokenizer() const {
  if (tokenizer_.is_object() && tokenizer_.value("type", "") == "byte") return byte_tokenizer();
  if (files_.contains(kTokenizer)) return text_tokenizer(texts());
  return is_gguf(path_) ? moesaic::read_tokenizer(path_) : nullptr;  // for the reason
}

std::unique_ptr<Tokenizer> ModelFiles::tokenizer() const {
  try {
    return read_tokenizer();
  } catch (const Error& error) {
    return unusable_tokenizer(error);
  }
}

bool is_tokenizer_file(const std::string& name) {
  return std::find(std::begin(kOfTokenizer), std::end(kOfTokenizer), name) !=
         std::end(kOfTokenizer);
}

void carry_tokenizer(const std::string& spec, const Tokenizer& tokenizer,
                     std::map<std::string, std::string>& files) {
  for (const char* const name : kOfTokenizer) files.erase(name);
  if (spec == "byte") return;
  files.merge(files_of(spec));
  const auto end = tokenizer.end_of_text();
  if (!files.contains(kTokenizerConfig)) {
    Json config = {{"tokenizer_class", "PreTrainedTokenizerFast"}};
    if (end) config["eos_token"] = tokenizer.decode({{*end}}, /*keep_special=*/true);
    files[kTokenizerConfig] = config.dump(2) + "\n";
  }
  if (!files.contains(kGenerationConfig) && end)
    files[kGenerationConfig] = Json{{"eos_token_id", *end}}.dump(2) + "\n";
}

void carry_chat_template(const std::optional<std::string>& path,
                         std::map<std::string, std::string>& files) {
  if (path) files["chat_template.jinja"] = read_file(*path, ErrorKind::kRecipe);
}

}  // namespace moesaic
