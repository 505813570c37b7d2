#include "engine/score_line.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/error.h"
#include "data/json_line.h"
#include "data/tokenizer.h"

namespace moesaic {
namespace {

std::vector<std::uint32_t> encode(const std::string& text, const std::string& where,
                                  const ScoreVocabulary& vocabulary) {
  const Json& tokenizer = vocabulary.tokenizer;
  if (!tokenizer.is_object() || tokenizer.value("type", "") != "byte") {
    throw Error(ErrorKind::kData,
                format("{}: \"text\" needs a tokenizer, and the model comes with none that is "
                       "supported",
                       where),
                "give token ids: {\"ids\": [...]}");
  }
  std::vector<std::uint32_t> ids;
  byte_tokenizer()->encode(text, ids);
  return ids;
}

template <class T>
void append_number(std::string& text, T value) {
  text += std::isfinite(value) ? format("{}", value) : "null";
}

}  // namespace

std::vector<std::uint32_t> read_score_line(std::string_view line, const std::string& where,
                                           const ScoreVocabulary& vocabulary) {
  check_json_text(line, where, ErrorKind::kData, {.bytes = kScoreLineBytes});
  TextOrIds read = read_text_or_ids_line(line, where);
  std::vector<std::uint32_t> ids =
      read.text ? encode(*read.text, where, vocabulary) : std::move(read.ids);
  MOESAIC_CHECK(std::ssize(ids) <= vocabulary.max_ids, ErrorKind::kData,
                "{}: a sequence of {} ids, at most {} are scored at once", where, ids.size(),
                vocabulary.max_ids);
  const auto wrong = std::find_if(ids.begin(), ids.end(), [&](std::uint32_t id) {
    return std::int64_t{id} >= vocabulary.size;
  });
  MOESAIC_CHECK(wrong == ids.end(), ErrorKind::kData,
                "{}: id {} at place {} is outside the vocabulary, which has 0 to {}", where, *wrong,
                wrong - ids.begin(), vocabulary.size - 1);
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
