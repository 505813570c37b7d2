#include "inference/score_line.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/error.h"
#include "core/json.h"
#include "data/json_line.h"

namespace moesaic {
namespace {

std::vector<std::uint32_t> encode(const std::string& text, const std::string& where,
                                  const ScoreVocabulary& vocabulary) {
  const Tokenizer* const tokenizer = vocabulary.tokenizer ? vocabulary.tokenizer() : nullptr;
  if (tokenizer == nullptr) {
    throw Error(ErrorKind::kData,
                format("{}: \"text\" needs a tokenizer, and the model comes without one", where),
                "give token ids, {\"ids\": [...]}, or put the model's tokenizer.json beside its "
                "config.json");
  }
  std::vector<std::uint32_t> ids;
  tokenizer->encode_with_special(text, ids);
  return ids;
}

template <class T>
void append_number(std::string& text, T value) {
  text += std::isfinite(value) ? format("{}", value) : "null";
}

}  // namespace

void require_in_vocabulary(std::span<const std::uint32_t> ids, std::int64_t vocab_size,
                           const std::string& where) {
  const auto wrong = std::find_if(ids.begin(), ids.end(),
                                  [&](std::uint32_t id) { return std::int64_t{id} >= vocab_size; });
  MOESAIC_CHECK(wrong == ids.end(), ErrorKind::kData,
                "{}: id {} at place {} is outside the vocabulary, which has 0 to {}", where, *wrong,
                wrong - ids.begin(), vocab_size - 1);
}

std::vector<std::uint32_t> read_score_line(std::string_view line, const std::string& where,
                                           const ScoreVocabulary& vocabulary) {
  check_json_text(line, where, ErrorKind::kData, {.bytes = kScoreLineBytes});
  TextOrIds read = read_text_or_ids_line(line, where);
  std::vector<std::uint32_t> ids =
      read.text ? encode(*read.text, where, vocabulary) : std::move(read.ids);
  MOESAIC_CHECK(std::ssize(ids) <= vocabulary.max_ids, ErrorKind::kData,
                "{}: a sequence of {} ids, at most {} are scored at once", where, ids.size(),
                vocabulary.max_ids);
  require_in_vocabulary(ids, vocabulary.size, where);
  return ids;
}

double SequenceScore::nll() const {
  return 0.0 - std::accumulate(logprobs.begin(), logprobs.end(), 0.0);
}

bool SequenceScore::is_finite() const {
  return std::all_of(logprobs.begin(), logprobs.end(), [](double x) { return std::isfinite(x); });
}

std::string score_line(const SequenceScore& score, bool single) {
  std::string text = "{\"logprobs\":[";
  for (const double value : score.logprobs) {
    if (text.back() != '[') text += ',';
    single ? append_number(text, static_cast<float>(value)) : append_number(text, value);
  }
  text += "],\"nll\":";
  append_number(text, score.nll());
  return text + format(",\"tokens\":{}}}\n", score.tokens);
}

}  // namespace moesaic
