#include "data/text/token_decoder.h"

#include <charconv>
#include <numeric>
#include <optional>
#include <utility>

#include "core/error.h"
#include "data/text/byte_alphabet.h"
#include "data/text/pattern_part.h"
#include "data/text/unicode.h"

namespace moesaic {
namespace {

using Tokens = std::vector<std::string>;

constexpr std::string_view kDecoders =
    "ByteLevel, Metaspace, ByteFallback, WordPiece, Fuse, Strip, Replace, Sequence";

std::string joined(const Tokens& tokens) {
  return std::accumulate(tokens.begin(), tokens.end(), std::string());
}

// Calls change(token) for each.
template <class Change>
TokenDecoder each(Change change) {
  return [change = std::move(change)](Tokens tokens) {
    for (std::string& token : tokens) token = change(token);
    return tokens;
  };
}

std::string replaced(std::string text, std::string_view what, std::string_view by) {
  for (std::size_t at = 0; (at = text.find(what, at)) != std::string::npos; at += by.size())
    text.replace(at, what.size(), by);
  return text;
}

Tokens from_bytes(const Tokens& tokens) {
  std::string bytes;
  for (const std::string& token : tokens) bytes += byte_alphabet::to_bytes(token).value_or(token);
  return {unicode::repaired(bytes)};
}

// <0x41> -> 'A'
std::optional<char> byte_token(const std::string& token) {
  if (token.size() != 6 || !token.starts_with("<0x") || token.back() != '>') return std::nullopt;
  unsigned value = 0;
  const auto [end, error] = std::from_chars(token.data() + 3, token.data() + 5, value, 16);
  if (error != std::errc() || end != token.data() + 5) return std::nullopt;
  return static_cast<char>(value);
}

// Runs of byte tokens become text where they are valid UTF-8, else U+FFFD for each of them.
Tokens with_bytes_joined(const Tokens& tokens) {
  Tokens out;
  std::string run;
  const auto flush = [&] {
    if (run.empty()) return;
    if (unicode::valid_prefix(run) == run.size())
      out.push_back(run);
    else
      out.insert(out.end(), run.size(), "\xEF\xBF\xBD");
    run.clear();
  };
  for (const std::string& token : tokens) {
    if (const auto byte = byte_token(token)) {
      run.push_back(*byte);
      continue;
    }
    flush();
    out.push_back(token);
  }
  flush();
  return out;
}

TokenDecoder metaspace_decoder(const JsonPart& part) {
  const std::string mark = part.text("replacement", "\xE2\x96\x81");
  const bool prefixed =
      part.text("prepend_scheme", part.flag("add_prefix_space", true) ? "always" : "never") !=
      "never";
  return [mark, prefixed](Tokens tokens) {
    for (std::size_t i = 0; i < tokens.size(); ++i)
      tokens[i] = replaced(tokens[i], mark, i == 0 && prefixed ? "" : " ");
    return tokens;
  };
}

// The clean-up of English text that BERT's tokenizers do.
std::string cleaned(std::string text) {
  constexpr std::pair<std::string_view, std::string_view> kChanges[] = {
      {" .", "."},   {" ?", "?"},     {" !", "!"},    {" ,", ","},
      {" ' ", "'"},  {" n't", "n't"}, {" 'm", "'m"},  {" do not", " don't"},
      {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"}};
  for (const auto& [what, by] : kChanges) text = replaced(std::move(text), what, by);
  return text;
}

TokenDecoder wordpiece(const JsonPart& part) {
  const std::string prefix = part.text("prefix", "##");
  const bool cleanup = part.flag("cleanup", true);
  return [prefix, cleanup](Tokens tokens) {
    for (std::size_t i = 0; i < tokens.size(); ++i) {
      std::string& token = tokens[i];
      if (i != 0) {
        if (token.starts_with(prefix))
          token.erase(0, prefix.size());
        else
          token = std::string(1, ' ').append(token);
      }
      if (cleanup) token = cleaned(std::move(token));
    }
    return tokens;
  };
}

// At most `start` times `content` from the front of each token, and `stop` times from its end.
TokenDecoder strip_decoder(const JsonPart& part) {
  const std::string content = part.text("content");
  const std::int64_t start = part.number("start", 0), stop = part.number("stop", 0);
  if (content.empty()) part.fail("content must be one character");
  return each([content, start, stop](std::string token) {
    for (std::int64_t i = 0; i < start && token.starts_with(content); ++i)
      token.erase(0, content.size());
    for (std::int64_t i = 0; i < stop && token.ends_with(content); ++i)
      token.resize(token.size() - content.size());
    return token;
  });
}

TokenDecoder replace_decoder(const JsonPart& part) {
  return each([pattern = pattern_of(part.part("pattern")),
               content = part.text("content")](const std::string& token) {
    std::string out;
    for (const Stretch& s : pattern(token)) {
      if (s.is_match)
        out += content;
      else
        out.append(token, s.extent.begin, s.extent.end - s.extent.begin);
    }
    return out;
  });
}

TokenDecoder sequence_decoder(const JsonPart& part) {
  std::vector<TokenDecoder> steps;
  for (const JsonPart& step : part.parts("decoders")) steps.push_back(make_token_decoder(step));
  return [steps](Tokens tokens) {
    for (const TokenDecoder& step : steps) tokens = step(std::move(tokens));
    return tokens;
  };
}

Tokens with_blanks(Tokens tokens) {
  for (std::size_t i = 1; i < tokens.size(); ++i) tokens[i] = std::string(1, ' ').append(tokens[i]);
  return tokens;
}

}  // namespace

TokenDecoder make_token_decoder(const JsonPart& part) {
  if (part.is_null()) return with_blanks;
  const std::string type = part.type();
  if (type == "ByteLevel") return from_bytes;
  if (type == "Metaspace") return metaspace_decoder(part);
  if (type == "ByteFallback") return with_bytes_joined;
  if (type == "WordPiece") return wordpiece(part);
  if (type == "Fuse") return [](const Tokens& tokens) { return Tokens{joined(tokens)}; };
  if (type == "Strip") return strip_decoder(part);
  if (type == "Replace") return replace_decoder(part);
  if (type == "Sequence") return sequence_decoder(part);
  part.refuse("decoder", kDecoders);
}

}  // namespace moesaic
