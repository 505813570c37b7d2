// AnswerFile: the JSONL of the tasks whose answers are judged: questions with what an answer is
// judged by, or answers that are there already.
#pragma once

#include <cstdint>
#include <string>

#include "core/json.h"
#include "data/input_file.h"
#include "metrics/evaluation.h"

namespace moesaic {

class AnswerFile {
 public:
  struct Options {
    std::string path;
    std::string task;          // generation | cases; of predictions classification, too
    bool predictions = false;  // lines have answers in the place of prompts
    std::int64_t limit = 0;    // items; 0 = all
  };
  struct Item {
    std::string prompt;  // of a question
    metrics::Answer answer;
  };

  /// Error(kData) when it cannot be read.
  explicit AnswerFile(Options options) : options_(std::move(options)), input_(options_.path) {}

  /// False at the end. Error(kData) with file and line for what is wrong in it.
  bool next(Item& item);
  /// "path:line" of the last item.
  std::string where() const { return input_.where(); }

 private:
  Options options_;
  InputFile input_;
  std::int64_t read_ = 0;
};

/// A line of predictions, with a line feed, as AnswerFile reads it: `task` says its keys.
std::string prediction_line(const metrics::Answer& answer, const std::string& task);

/// Of all that is in `path`. Error(kData) when there was no item.
metrics::Measurement measurement_of(const metrics::Evaluation& evaluation, const std::string& path);

/// The result of the answers in a file of predictions; no model runs.
Json judge_predictions(const AnswerFile::Options& options,
                       const metrics::Evaluation::Options& wanted);

}  // namespace moesaic
