// The JSONL of `moesaic score`: what a line of its input asks, and the line that answers it.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "data/tokenizer.h"

namespace moesaic {

/// A line of more bytes is refused: 1,000,000 ids of ten digits fit.
inline constexpr std::size_t kScoreLineBytes = std::size_t{16} << 20U;

/// What the model takes.
struct ScoreVocabulary {
  std::int64_t size = 0;
  std::function<const Tokenizer*()> tokenizer;  // asked at the first text; nullptr: there is none
  std::int64_t max_ids = 1'000'000;             // of one line
};

/// The ids of a line {"ids": [...]} or {"text": "..."}. Error(kData) that begins with `where`.
std::vector<std::uint32_t> read_score_line(std::string_view line, const std::string& where,
                                           const ScoreVocabulary& vocabulary);

/// Error(kData) that begins with `where` when an id is not below `vocab_size`.
void require_in_vocabulary(std::span<const std::uint32_t> ids, std::int64_t vocab_size,
                           const std::string& where);

/// The scores of one sequence.
struct SequenceScore {
  std::span<const double> logprobs;  // of the ids after the first
  std::int64_t tokens = 0;           // all ids

  double nll() const;  // negative sum
  bool is_finite() const;
};

/// {"logprobs":[...],"nll":x,"tokens":n} and a line feed. Numbers have as many digits as tell them
/// from their neighbours: `single` where they were computed in float32. What is not finite is null.
std::string score_line(const SequenceScore& score, bool single);

}  // namespace moesaic
