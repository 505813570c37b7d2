// ScoreRun: JSONL in, JSONL out, window after window: what `moesaic score` does on each rank.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "data/input_file.h"
#include "data/output_file.h"
#include "inference/score_line.h"
#include "inference/scorer.h"

namespace moesaic {

class ScoreRun {
 public:
  struct Options {
    std::string input;   // "" = standard input
    std::string output;  // "" = standard output
    std::int64_t batch_tokens =
        1024;            // ids of one forward pass: enough for full speed, little memory
    double idle_s = 20;  // how often the other ranks hear of a chief that waits for input
  };
  struct Summary {
    std::int64_t sequences = 0;
    std::int64_t tokens = 0;      // all ids
    std::int64_t scored = 0;      // ids that have a log-probability
    std::int64_t not_finite = 0;  // sequences with a log-probability that is NaN or infinite
    double nll = 0;               // sum of all that are finite
  };

  /// Collective over world. The chief opens both files: a wrong path shows before a model is
  /// loaded.
  ScoreRun(const RankContext& context, const Options& options);

  /// Collective over world: to the end of the input. Lines come out in the order of those that came
  /// in, once a window of them is scored. Errors of the input are SharedErrors. The chief's
  /// summary.
  Summary run(InferenceModel& model);

 private:
  enum class Reading { kWaits, kMore, kEnded };  // what the chief tells the others

  Reading tell(Reading reading) const;
  Reading read(SequenceWindow& window, const ScoreVocabulary& vocabulary);
  Reading next(SequenceWindow& window, const ScoreVocabulary& vocabulary);
  void write(const SequenceWindow& window, const std::vector<double>& logprobs, bool single,
             Summary& summary);

  const RankContext& context_;
  Options options_;
  std::optional<InputFile> input_;    // chief
  std::optional<OutputFile> output_;  // chief
};

}  // namespace moesaic
