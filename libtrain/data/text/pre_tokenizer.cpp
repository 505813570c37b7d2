#include "data/text/pre_tokenizer.h"

#include <utility>

#include "core/error.h"
#include "data/text/byte_alphabet.h"
#include "data/text/pattern_part.h"
#include "data/text/split.h"
#include "data/text/unicode.h"

namespace moesaic {
namespace {

using Step = std::function<void(Pieces&)>;

constexpr std::string_view kSupportedSplits =
    "Split, ByteLevel, Digits, Metaspace, Punctuation, Whitespace, WhitespaceSplit, "
    "BertPreTokenizer, Sequence";
constexpr const char* kGpt2 =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

// Cuts each piece.
Step splitting(Pattern pattern, SplitBehavior behavior) {
  return [pattern = std::move(pattern), behavior](Pieces& pieces) {
    std::vector<std::string_view> cut;
    cut.reserve(pieces.list.size());
    for (const std::string_view piece : pieces.list) split(piece, pattern, behavior, cut);
    pieces.list.swap(cut);
  };
}

Step in_order(std::vector<Step> steps) {
  return [steps = std::move(steps)](Pieces& pieces) {
    for (const Step& step : steps) step(pieces);
  };
}

void map_to_alphabet(Pieces& pieces) {
  for (std::string_view& piece : pieces.list)
    piece = pieces.keep(byte_alphabet::to_characters(piece));
}

void add_prefix_space(Pieces& pieces) {
  for (std::string_view& piece : pieces.list)
    if (!piece.starts_with(' ')) piece = pieces.keep(std::string(1, ' ').append(piece));
}

PreTokenizer byte_level(const JsonPart& part) {
  std::vector<Step> steps;
  if (part.flag("add_prefix_space", true)) steps.emplace_back(add_prefix_space);
  if (part.flag("use_regex", true))
    steps.push_back(splitting(regex_pattern(Regex(kGpt2, part.where())), SplitBehavior::kIsolated));
  return {in_order(std::move(steps)), /*byte_level=*/true};
}

Step metaspace(const JsonPart& part) {
  const std::string mark = part.text("replacement", "\xE2\x96\x81");
  const std::string scheme =
      part.text("prepend_scheme", part.flag("add_prefix_space", true) ? "always" : "never");
  if (scheme != "always" && scheme != "first" && scheme != "never")
    part.fail(format("prepend_scheme '{}' is none of always, first, never", printable(scheme)));
  const auto prepend = [mark, scheme](Pieces& pieces) {
    for (std::size_t i = 0; i < pieces.list.size(); ++i) {
      std::string marked;
      for (const char c : pieces.list[i]) {
        if (c == ' ')
          marked += mark;
        else
          marked += c;
      }
      const bool here = scheme == "always" || (scheme == "first" && i == 0 && pieces.at_start);
      if (here && !marked.starts_with(mark)) marked = mark + marked;
      pieces.list[i] = pieces.keep(std::move(marked));
    }
  };
  if (!part.flag("split", true)) return prepend;
  return in_order({prepend, splitting(literal_pattern(mark), SplitBehavior::kMergedWithNext)});
}

Step words() {
  // \w+|[^\w\s]+ of the text, and nothing else.
  const auto kind = [](std::string_view text) {
    Stretches out;
    int last = 0;
    for (std::size_t at = 0, length = 0; at < text.size(); at += length) {
      const char32_t c = unicode::decode(text, at, length);
      const int now = unicode::is_word(c) ? 1 : unicode::is_whitespace(c) ? 2 : 3;
      if (now == last)
        out.back().extent.end = at + length;
      else
        out.push_back({{at, at + length}, now == 2});
      last = now;
    }
    return out;
  };
  return splitting(kind, SplitBehavior::kRemoved);
}

Step bert() {
  return in_order(
      {splitting(character_pattern(unicode::is_whitespace), SplitBehavior::kRemoved),
       splitting(character_pattern(unicode::is_punctuation), SplitBehavior::kIsolated)});
}

Step split_step(const JsonPart& part) {
  Pattern pattern = pattern_of(part.part("pattern"));
  if (part.flag("invert", false)) pattern = inverted(std::move(pattern));
  return splitting(std::move(pattern), split_behavior(part.text("behavior"), part.where()));
}

PreTokenizer split_sequence(const JsonPart& part) {
  std::vector<Step> steps;
  bool mapped = false;
  for (const JsonPart& step : part.parts("pretokenizers")) {
    if (mapped) steps.emplace_back(map_to_alphabet);
    PreTokenizer made = make_pre_tokenizer(step);
    steps.push_back(std::move(made.cut));
    mapped = made.byte_level;
  }
  return {in_order(std::move(steps)), mapped};
}

}  // namespace

Step mapped_to_bytes(Step cut) { return in_order({std::move(cut), map_to_alphabet}); }

PreTokenizer make_pre_tokenizer(const JsonPart& part) {
  if (part.is_null()) return {[](Pieces&) {}};
  const std::string type = part.type();
  if (type == "Sequence") return split_sequence(part);
  if (type == "ByteLevel") return byte_level(part);
  if (type == "Split") return {split_step(part)};
  if (type == "Digits")
    return {splitting(character_pattern(unicode::is_numeric), part.flag("individual_digits", false)
                                                                  ? SplitBehavior::kIsolated
                                                                  : SplitBehavior::kContiguous)};
  if (type == "Metaspace") return {metaspace(part)};
  if (type == "Punctuation")
    return {splitting(character_pattern(unicode::is_punctuation),
                      split_behavior(part.text("behavior", "Isolated"), part.where()))};
  if (type == "Whitespace") return {words()};
  if (type == "WhitespaceSplit")
    return {splitting(character_pattern(unicode::is_whitespace), SplitBehavior::kRemoved)};
  if (type == "BertPreTokenizer") return {bert()};
  part.refuse("pre-tokenizer", kSupportedSplits);
}

}  // namespace moesaic
