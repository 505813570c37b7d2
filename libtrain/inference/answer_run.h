// AnswerRun: a model answers the questions of a file, many at the same time, and is judged by it.
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

struct GeneratedText {
  Generator::Result result;
  std::string text;
};

/// How many prompts a TextSource is best asked for: where a text ends the next one begins.
inline constexpr std::int64_t kPromptsOfText = 8;

/// Prompts and what becomes of their texts; on the chief.
struct TextSource {
  const Tokenizer* tokenizer = nullptr;
  std::function<std::vector<std::vector<std::uint32_t>>()> ask;  // the next ones; none at the end
  std::function<void(const std::vector<GeneratedText>&)> take;   // of these, in order
};

/// The texts of many prompts, as Generator::run_all() makes them; each ends before any of `stops`.
/// Collective over world; `source` is nullptr on the other ranks. Its errors are SharedErrors.
void generate_texts(const RankContext& context, Generator& generator, const TextSource* source,
                    const std::vector<std::string>& stops);

struct AnswerOptions {
  std::string data;        // JSONL of questions
  std::int64_t limit = 0;  // items; 0 = all
  std::string output;      // JSONL of predictions; "" = none
  bool chat = false;       // a prompt is a user's message
  std::string system;      // message before it; "" = none
  std::int64_t max_new_tokens = 128;
  std::int64_t together = 16;           // answers that are made at a time
  std::vector<std::string> stops;       // any of them ends an answer, and is not in it
  metrics::Evaluation::Options scores;  // task: generation | cases
};

/// Collective over world; the result is the chief's. Answers are the most probable tokens. Errors
/// of the data are SharedErrors.
metrics::Measurement run_answers(const RankContext& context, InferenceModel& model,
                                 const AnswerOptions& options);

}  // namespace moesaic
