// AnswerRun: a model answers the questions of a file, one after the other, and is judged by it.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "inference/generator.h"
#include "inference/inference_model.h"
#include "inference/text_stream.h"
#include "metrics/evaluation.h"

namespace moesaic {

/// What `generator` adds to the chief's prompt, up to the end of `stream` (nullptr on the other
/// ranks); `put` gets the text as it comes. Collective as Generator::run().
Generator::Result generate_text(Generator& generator, std::span<const std::uint32_t> prompt,
                                TextStream* stream,
                                const std::function<void(const std::string&)>& put);

struct AnswerOptions {
  std::string data;        // JSONL of questions
  std::int64_t limit = 0;  // items; 0 = all
  std::string output;      // JSONL of predictions; "" = none
  bool chat = false;       // a prompt is a user's message
  std::string system;      // message before it; "" = none
  std::int64_t max_new_tokens = 128;
  std::vector<std::string> stops;       // any of them ends an answer, and is not in it
  metrics::Evaluation::Options scores;  // task: generation | cases
};

/// Collective over world; the result is the chief's. Answers are the most probable tokens. Errors
/// of the data are SharedErrors.
metrics::Measurement run_answers(const RankContext& context, InferenceModel& model,
                                 const AnswerOptions& options);

}  // namespace moesaic
