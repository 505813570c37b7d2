#include "data/text/gguf_tokenizer.h"

#include <algorithm>

#include "core/format.h"
#include "core/json.h"

namespace moesaic {
namespace {

constexpr std::int64_t kControl = 3, kUserDefined = 4;  // values of tokenizer.ggml.token_type

// What llama.cpp and the tokenizer.json of these families cut words by.
constexpr const char* kQwen2 =
    R"re((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)re";
constexpr const char* kLlama3 =
    R"re((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)re";

// What llama.cpp cuts by, one after the other, where a file does not say how.
constexpr const char* kDefault[] = {
    R"re([\p{P}$+<=>^~|]+)re",
    R"re('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S))re",
    R"re(\p{N}+)re", R"re([0-9][0-9][0-9])re"};

Json byte_level(bool use_regex) {
  return {{"type", "ByteLevel"},
          {"add_prefix_space", false},
          {"trim_offsets", true},
          {"use_regex", use_regex}};
}

Json sequence(const std::vector<Json>& steps) {
  return {{"type", "Sequence"}, {"pretokenizers", steps}};
}

Json split(const char* regex) {
  return {{"type", "Split"},
          {"pattern", {{"Regex", regex}}},
          {"behavior", "Isolated"},
          {"invert", false}};
}

struct Kind {
  Json normalizer = nullptr, pre_tokenizer;
  bool ignore_merges = false, add_bos = false;
};

constexpr const char* kInstead = "give token ids, or use the Hugging Face folder of the model";

Kind kind_of(const GgufHeader& header) {
  const std::string name(header.text("tokenizer.ggml.pre").value_or("default"));
  if (name == "gpt-2" || name == "olmo") return {.pre_tokenizer = byte_level(true)};
  if (name == "smollm")
    return {.pre_tokenizer =
                sequence({{{"type", "Digits"}, {"individual_digits", true}}, byte_level(true)})};
  if (name == "qwen2")
    return {.normalizer = {{"type", "NFC"}},
            .pre_tokenizer = sequence({split(kQwen2), byte_level(false)})};
  if (name == "llama-bpe")
    return {.pre_tokenizer = sequence({split(kLlama3), byte_level(false)}),
            .ignore_merges = true,
            .add_bos = true};
  if (name == "default") {
    std::vector<Json> steps;
    for (const char* const regex : kDefault) steps.push_back(split(regex));
    steps.push_back(byte_level(false));
    return {.pre_tokenizer = sequence(steps)};
  }
  throw Error(
      ErrorKind::kCheckpoint,
      format("{}: tokenizer.ggml.pre is '{}'; default, gpt-2, olmo, smollm, llama-bpe and qwen2 are "
             "read",
             header.where, printable(name)),
      kInstead);
}

std::string text_of(std::string_view text) {
  return Json(text).dump(-1, ' ', false, Json::error_handler_t::strict);
}

// "a","b": made as text, because a JSON object of 100,000 members is slow.
std::string vocabulary_text(const std::vector<std::string_view>& tokens) {
  std::string text(1, '{');
  for (std::size_t id = 0; id < tokens.size(); ++id)
    text += format("{}{}:{}", id == 0 ? "" : ",", text_of(tokens[id]), id);
  text.push_back('}');
  return text;
}

std::string merges_text(const std::vector<std::string_view>& merges) {
  std::string text(1, '[');
  for (std::size_t i = 0; i < merges.size(); ++i) {
    if (i > 0) text.push_back(',');
    text += text_of(merges[i]);
  }
  text.push_back(']');
  return text;
}

std::optional<std::string_view> special_token(const GgufHeader& header,
                                              const std::vector<std::string_view>& tokens,
                                              const char* name) {
  const auto id = header.integer(format("tokenizer.ggml.{}_token_id", name));
  if (!id || *id < 0 || *id >= std::ssize(tokens)) return std::nullopt;
  return tokens[static_cast<std::size_t>(*id)];
}

std::string added_text(const GgufHeader& header, const std::vector<std::string_view>& tokens) {
  const std::vector<std::int64_t> types = header.integers("tokenizer.ggml.token_type");
  MOESAIC_CHECK(types.empty() || types.size() == tokens.size(), ErrorKind::kCheckpoint,
                "{}: {} types of {} tokens", header.where, types.size(), tokens.size());
  std::string text(1, '[');
  for (std::size_t id = 0; id < types.size(); ++id) {
    if (types[id] != kControl && types[id] != kUserDefined) continue;
    text += format(
        R"({}{{"id":{},"content":{},"single_word":false,"lstrip":false,"rstrip":false,"normalized":false,"special":{}}})",
        text.size() > 1 ? "," : "", id, text_of(tokens[id]), types[id] == kControl);
  }
  text.push_back(']');
  return text;
}

Json post_processor(const GgufHeader& header, const Kind& kind,
                    const std::vector<std::string_view>& tokens) {
  const auto bos = special_token(header, tokens, "bos");
  if (!header.flag("tokenizer.ggml.add_bos_token").value_or(kind.add_bos) || !bos) return nullptr;
  const std::string token(*bos);
  const Json special = {{"SpecialToken", {{"id", token}, {"type_id", 0}}}};
  const auto text = [](const char* id, int type) {
    return Json{{"Sequence", {{"id", id}, {"type_id", type}}}};
  };
  return {{"type", "TemplateProcessing"},
          {"single", Json::array({special, text("A", 0)})},
          {"pair", Json::array({special, text("A", 0), text("B", 1)})},
          {"special_tokens",
           {{token,
             {{"id", token},
              {"ids", {*header.integer("tokenizer.ggml.bos_token_id")}},
              {"tokens", {token}}}}}}};
}

}  // namespace

std::string gguf_tokenizer_json(const GgufHeader& header) {
  const auto model = header.text("tokenizer.ggml.model");
  if (!model) return "";
  if (*model != "gpt2") {
    throw Error(ErrorKind::kCheckpoint,
                format("{}: tokenizer.ggml.model is '{}'; gpt2 (byte-level BPE) is read",
                       header.where, printable(*model)),
                kInstead);
  }
  const Kind kind = kind_of(header);
  const auto tokens = header.texts("tokenizer.ggml.tokens");
  try {
    return format(
        R"({{"version":"1.0","truncation":null,"padding":null,"added_tokens":{},"normalizer":{},"pre_tokenizer":{},)"
        R"("post_processor":{},"decoder":{},"model":{{"type":"BPE","dropout":null,"unk_token":null,)"
        R"("continuing_subword_prefix":null,"end_of_word_suffix":null,"fuse_unk":false,"byte_fallback":false,)"
        R"("ignore_merges":{},"vocab":{},"merges":{}}}}})",
        added_text(header, tokens), kind.normalizer.dump(), kind.pre_tokenizer.dump(),
        post_processor(header, kind, tokens).dump(), byte_level(true).dump(), kind.ignore_merges,
        vocabulary_text(tokens), merges_text(header.texts("tokenizer.ggml.merges")));
  } catch (const Json::exception& error) {
    throw Error(ErrorKind::kCheckpoint,
                format("{}: a token is no UTF-8: {}", header.where, json_reason(error.what())));
  }
}

std::string gguf_tokenizer_config(const GgufHeader& header) {
  const auto tokens = header.texts("tokenizer.ggml.tokens");
  Json config = {{"tokenizer_class", "PreTrainedTokenizerFast"},
                 {"clean_up_tokenization_spaces", false}};
  for (const auto& [name, key] :
       {std::pair("bos", "bos_token"), std::pair("eos", "eos_token"),
        std::pair("unknown", "unk_token"), std::pair("padding", "pad_token")}) {
    if (const auto token = special_token(header, tokens, name)) config[key] = std::string(*token);
  }
  if (const auto text = header.text("tokenizer.chat_template"))
    config["chat_template"] = std::string(*text);
  return config.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace moesaic
