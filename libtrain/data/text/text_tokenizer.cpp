#include "data/text/text_tokenizer.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <unordered_set>
#include <utility>

#include "config/gguf_header.h"
#include "core/digest.h"
#include "core/error.h"
#include "core/fs.h"
#include "core/path.h"
#include "data/text/added_tokens.h"
#include "data/text/gguf_tokenizer.h"
#include "data/text/normalizer.h"
#include "data/text/pre_tokenizer.h"
#include "data/text/token_decoder.h"
#include "data/text/token_model.h"
#include "data/text/tokenizer_file.h"
#include "data/text/unicode.h"

namespace moesaic {
namespace {

namespace fs = std::filesystem;

using Ids = std::vector<std::uint32_t>;

constexpr std::uint64_t kMostAdded = 100'000;  // tokens beside the vocabulary

// What the post-processor writes around the ids of a text.
struct Frame {
  Ids before, after;
};

// What does not change, shared by the copies for several threads.
struct Shared {
  std::shared_ptr<const Vocabulary> vocabulary;
  std::vector<AddedToken> added;
  std::unordered_map<std::uint32_t, const AddedToken*> added_by_id;
  std::unordered_set<std::string> special;  // contents, which decoding leaves out
  AddedTokens in_text{std::vector<AddedToken>()}, in_normalized{std::vector<AddedToken>()};
  TokenDecoder decoder;
  Frame frame;
  std::optional<std::uint32_t> end_of_text;
  std::uint32_t size = 0;
  Json description;
};

class TextTokenizer : public Tokenizer {
 public:
  TextTokenizer(std::shared_ptr<const Shared> shared, Normalizer normalizer,
                PreTokenizer pre_tokenizer, std::unique_ptr<TokenModel> model)
      : shared_(std::move(shared)),
        normalizer_(std::move(normalizer)),
        pre_tokenizer_(std::move(pre_tokenizer)),
        model_(std::move(model)) {}

  void encode(std::string_view text, Ids& ids) const override {
    require_text(text, "text");
    encode_valid(text, ids);
  }

  void require_text(std::string_view text, const std::string& where) const override {
    unicode::require_valid(text, where);
  }

  void encode_with_special(std::string_view text, Ids& ids) const override {
    const Frame& frame = shared_->frame;
    ids.insert(ids.end(), frame.before.begin(), frame.before.end());
    encode(text, ids);
    ids.insert(ids.end(), frame.after.begin(), frame.after.end());
  }

  std::string decode(std::span<const std::uint32_t> ids, bool keep_special) const override {
    std::vector<std::string> tokens;
    for (const std::uint32_t id : ids) {
      const auto added = shared_->added_by_id.find(id);
      if (added != shared_->added_by_id.end()) {
        const std::string& token = added->second->text;
        if (keep_special || !shared_->special.contains(token)) tokens.push_back(token);
        continue;
      }
      const std::string* const token = shared_->vocabulary->token(id);
      MOESAIC_CHECK(token != nullptr, ErrorKind::kData,
                    "token id {} is not one of the tokenizer, which has 0 to {}", id,
                    shared_->size - 1);
      tokens.push_back(*token);
    }
    std::string text;
    for (const std::string& piece : shared_->decoder(std::move(tokens))) text += piece;
    return text;
  }

  std::int64_t vocab_size() const override { return shared_->size; }
  std::optional<std::uint32_t> end_of_text() const override { return shared_->end_of_text; }
  bool encodes_in_pieces() const override { return false; }
  Json describe() const override { return shared_->description; }
  std::unique_ptr<Tokenizer> clone() const override {
    return std::make_unique<TextTokenizer>(shared_, normalizer_, pre_tokenizer_, model_->clone());
  }

 private:
  void encode_valid(std::string_view text, Ids& ids) const {
    shared_->in_text.for_each_part(text, [&](const TextPart& part) {
      if (part.id) return ids.push_back(*part.id);
      const bool at_start = part.text.data() == text.data();
      const std::string normal = normalizer_(std::string(part.text));
      shared_->in_normalized.for_each_part(normal, [&](const TextPart& inner) {
        if (inner.id) return ids.push_back(*inner.id);
        encode_part(inner.text, at_start && inner.text.data() == normal.data(), ids);
      });
    });
  }

  void encode_part(std::string_view text, bool at_start, Ids& ids) const {
    Pieces pieces;
    pieces.list.push_back(text);
    pieces.at_start = at_start;
    pre_tokenizer_.cut(pieces);
    for (const std::string_view piece : pieces.list) model_->tokenize(piece, ids);
  }

  std::shared_ptr<const Shared> shared_;
  Normalizer normalizer_;
  PreTokenizer pre_tokenizer_;
  std::unique_ptr<TokenModel> model_;
};

std::vector<AddedToken> added_tokens(const JsonPart& root, const Vocabulary& vocabulary) {
  std::vector<AddedToken> out;
  if (!root.has("added_tokens")) return out;
  for (const JsonPart& part : root.parts("added_tokens")) {
    AddedToken token{.content = part.text("content"),
                     .id = part.id("id"),
                     .special = part.flag("special", false),
                     .single_word = part.flag("single_word", false),
                     .lstrip = part.flag("lstrip", false),
                     .rstrip = part.flag("rstrip", false)};
    token.normalized = part.flag("normalized", !token.special);
    if (token.id >= 2 * std::uint64_t{vocabulary.size()} + kMostAdded)
      part.fail(format("id {} beside a vocabulary of {} tokens", token.id, vocabulary.size()));
    const auto known = vocabulary.id(token.content);
    if (known && *known != token.id)
      part.fail(format("'{}' has id {} here and {} in the vocabulary", printable(token.content),
                       token.id, *known));
    out.push_back(std::move(token));
  }
  return out;
}

BpeOptions bpe_options(const JsonPart& part) {
  if (part.has("dropout") && part.part("dropout").json() != Json(0.0))
    part.fail("dropout is not supported: the ids of a text would be random");
  return {.merges = {},
          .unk_token = part.text("unk_token", ""),
          .continuing_subword_prefix = part.text("continuing_subword_prefix", ""),
          .end_of_word_suffix = part.text("end_of_word_suffix", ""),
          .fuse_unk = part.flag("fuse_unk", false),
          .byte_fallback = part.flag("byte_fallback", false),
          .ignore_merges = part.flag("ignore_merges", false)};
}

// `byte_level`: pieces are still to be mapped to the byte alphabet; cleared where the model saves
// it.
std::unique_ptr<TokenModel> make_model(const JsonPart& part,
                                       std::shared_ptr<const Vocabulary> vocabulary,
                                       TokenizerFile& file, bool& byte_level) {
  const std::string type = part.text("type", file.merges ? "BPE" : "WordPiece");
  if (type == "BPE") {
    BpeOptions options = bpe_options(part);
    if (!file.merges) part.fail("merges is missing");
    options.merges = std::move(*file.merges);
    options.raw_bytes = byte_level && options.continuing_subword_prefix.empty() &&
                        options.end_of_word_suffix.empty() && !options.byte_fallback;
    byte_level = byte_level && !options.raw_bytes;
    return make_bpe(std::move(vocabulary), options, part.where());
  }
  if (type == "WordPiece")
    return make_wordpiece(
        std::move(vocabulary),
        {.unk_token = part.text("unk_token", "[UNK]"),
         .continuing_subword_prefix = part.text("continuing_subword_prefix", "##"),
         .max_input_chars_per_word = part.number("max_input_chars_per_word", 100)},
        part.where());
  part.refuse("model", "BPE, WordPiece");
}

// Ids that a template writes for one text.
Frame template_frame(const JsonPart& part) {
  Frame frame;
  bool seen = false;
  for (const JsonPart& piece : part.parts("single")) {
    if (piece.has("Sequence")) {
      if (seen) piece.fail("a template with the text twice is not supported");
      seen = true;
      continue;
    }
    const JsonPart token = part.part("special_tokens").part(piece.part("SpecialToken").text("id"));
    for (const JsonPart& id : token.parts("ids")) {
      if (!id.json().is_number_unsigned() || id.json().get<std::uint64_t>() > INT32_MAX)
        id.fail("must be a token id");
      (seen ? frame.after : frame.before).push_back(id.json().get<std::uint32_t>());
    }
  }
  if (!seen) part.fail("a template without the text is not supported");
  return frame;
}

std::uint32_t pair_id(const JsonPart& part, std::string_view key) {
  const auto pair = part.parts(key);
  if (pair.size() != 2 || !pair[1].json().is_number_unsigned())
    part.part(key).fail("must be [token, id]");
  return pair[1].json().get<std::uint32_t>();
}

Frame frame_of(const JsonPart& part) {
  if (part.is_null() || part.type() == "ByteLevel") return {};
  if (part.type() == "TemplateProcessing") return template_frame(part);
  if (part.type() == "BertProcessing" || part.type() == "RobertaProcessing")
    return {{pair_id(part, "cls")}, {pair_id(part, "sep")}};
  if (part.type() != "Sequence")
    part.refuse("post-processor",
                "TemplateProcessing, BertProcessing, RobertaProcessing, ByteLevel, Sequence");
  Frame frame;
  for (const JsonPart& step : part.parts("processors")) {
    const Frame outer = frame_of(step);
    frame.before.insert(frame.before.begin(), outer.before.begin(), outer.before.end());
    frame.after.insert(frame.after.end(), outer.after.begin(), outer.after.end());
  }
  return frame;
}

void check_frame(const Shared& shared, const std::string& where) {
  for (const Ids* ids : {&shared.frame.before, &shared.frame.after})
    for (const std::uint32_t id : *ids)
      MOESAIC_CHECK(shared.added_by_id.contains(id) || shared.vocabulary->token(id) != nullptr,
                    ErrorKind::kData, "{}: post_processor: id {} is not in the vocabulary", where,
                    id);
}

void find_added_tokens(const Normalizer& normalizer, bool split_special, Shared& shared) {
  std::array<std::vector<AddedToken>, 2> tokens;
  for (AddedToken& token : shared.added) {
    token.text = token.normalized ? normalizer(token.content) : token.content;
    if (!(split_special && token.special)) tokens[token.normalized ? 1 : 0].push_back(token);
    if (token.special) shared.special.insert(token.content);
    shared.added_by_id.emplace(token.id, &token);
    shared.size = std::max(shared.size, token.id + 1);
  }
  shared.in_text = AddedTokens(std::move(tokens[0]));
  shared.in_normalized = AddedTokens(std::move(tokens[1]));
}

// All that they do to a text.
std::string listed(const std::vector<AddedToken>& tokens) {
  std::string text;
  for (const AddedToken& t : tokens)
    text += format("{} {} {}{}{}{}{}\n", t.id, Json(t.content).dump(), t.special, t.single_word,
                   t.lstrip, t.rstrip, t.normalized);
  return text;
}

std::optional<std::uint32_t> id_of(const Shared& shared, std::string_view token) {
  for (const AddedToken& added : shared.added)
    if (added.content == token) return added.id;
  return shared.vocabulary->id(token);
}

std::optional<std::uint32_t> find_end_of_text(const Shared& shared, const std::string& declared) {
  if (!declared.empty()) return id_of(shared, declared);
  constexpr std::string_view kUsual[] = {"<|endoftext|>",
                                         "<|end_of_text|>",
                                         "<\xEF\xBD\x9C"
                                         "end\xE2\x96\x81of\xE2\x96\x81sentence\xEF\xBD\x9C>",
                                         "</s>",
                                         "<eos>",
                                         "<|im_end|>"};
  for (const std::string_view usual : kUsual)
    if (const auto id = id_of(shared, usual)) return id;
  return std::nullopt;
}

}  // namespace

std::unique_ptr<Tokenizer> text_tokenizer(std::string_view json, const std::string& where,
                                          const TokenDeclarations& declarations) {
  TokenizerFile file = read_tokenizer_file(json, where);
  const JsonPart root(file.rest, where);
  auto shared = std::make_shared<Shared>();
  shared->vocabulary =
      std::make_shared<const Vocabulary>(std::move(file.vocabulary), where + ": model.vocab");
  shared->size = shared->vocabulary->size();
  const Normalizer normalizer = make_normalizer(root.part("normalizer"));
  PreTokenizer pre_tokenizer = make_pre_tokenizer(root.part("pre_tokenizer"));
  bool byte_level = pre_tokenizer.byte_level;
  auto model = make_model(root.part("model"), shared->vocabulary, file, byte_level);
  if (byte_level) pre_tokenizer.cut = mapped_to_bytes(std::move(pre_tokenizer.cut));
  shared->added = added_tokens(root, *shared->vocabulary);
  const bool changed = add_declared_tokens(declarations, *shared->vocabulary, shared->added);
  find_added_tokens(normalizer, declarations.split_special_tokens, *shared);
  shared->decoder = make_token_decoder(root.part("decoder"));
  shared->frame = frame_of(root.part("post_processor"));
  check_frame(*shared, where);
  shared->end_of_text = find_end_of_text(*shared, declarations.text_of("eos_token"));
  shared->description = {
      {"type", "tokenizer.json"}, {"xxh3", digest_of(json)}, {"vocab_size", shared->size}};
  if (shared->end_of_text) shared->description["end_of_text"] = *shared->end_of_text;
  if (changed) shared->description["added_tokens"] = digest_of(listed(shared->added));
  if (declarations.split_special_tokens) shared->description["split_special_tokens"] = true;
  return std::make_unique<TextTokenizer>(std::move(shared), normalizer, std::move(pre_tokenizer),
                                         std::move(model));
}

TokenizerTexts read_tokenizer_texts(const std::string& path) {
  if (is_gguf(path)) {
    const MappedFile mapped(path);
    const GgufHeader header = read_gguf_header(mapped.bytes(), path);
    const std::string json = gguf_tokenizer_json(header);
    MOESAIC_CHECK(!json.empty(), ErrorKind::kData, "{}: there is no tokenizer in it", path);
    return {path, json, gguf_tokenizer_config(header), "", ""};
  }
  const fs::path file = is_folder(path) ? fs::path(path) / "tokenizer.json" : fs::path(path);
  MOESAIC_CHECK(path_exists(file.string()), ErrorKind::kData, "{}: no such tokenizer",
                file.string());
  const auto text_of = [](const fs::path& one) {
    return path_exists(one.string())
               ? read_file(one.string(), ErrorKind::kData, JsonLimits{}.bytes)
               : "";
  };
  const fs::path folder = file.parent_path();
  return {file.string(),
          text_of(file),
          text_of(folder / "tokenizer_config.json"),
          text_of(folder / "special_tokens_map.json"),
          text_of(folder / "added_tokens.json"),
          text_of(folder / "chat_template.jinja")};
}

TokenDeclarations declarations_of(const TokenizerTexts& texts) {
  const auto parsed = [&texts](const std::string& text, const char* name) {
    return text.empty() ? Json() : parse_json(text, texts.where + ": " + name);
  };
  return token_declarations(parsed(texts.config, "tokenizer_config.json"),
                            parsed(texts.special_tokens_map, "special_tokens_map.json"),
                            parsed(texts.added_tokens, "added_tokens.json"), texts.where);
}

std::unique_ptr<Tokenizer> text_tokenizer(const TokenizerTexts& texts) {
  return text_tokenizer(texts.json, texts.where, declarations_of(texts));
}

std::unique_ptr<Tokenizer> read_tokenizer(const std::string& path) {
  return text_tokenizer(read_tokenizer_texts(path));
}

}  // namespace moesaic
