// EvalTask: what `moesaic eval` asks a model, sequence by sequence, and what it makes of the
// log-probabilities. Used by the chief alone; the ranks of any layout score.
#pragma once

#include <memory>
#include <span>
#include <string>

#include "core/json.h"
#include "core/log.h"
#include "data/tokenizer.h"
#include "inference/scorer.h"
#include "metrics/evaluation.h"

namespace moesaic {

class EvalTask {
 public:
  struct Options {
    std::string data;             // perplexity: text, JSONL or a token file; multiple choice: JSONL
    std::string format = "auto";  // perplexity: auto | text | jsonl | tokens
    std::int64_t limit = 0;       // documents or items; 0 = all
    std::int64_t context = 0;  // most ids of a sequence; 0 = the model's positions, at most 2,048
    std::int64_t stride = 0;   // perplexity: new ids of each sequence; 0 = half of the context
    std::string output;        // multiple choice, labels: JSONL with an object an item; "" = none
    metrics::Evaluation::Options scores;  // labels
  };
  /// What the model brings.
  struct Model {
    std::unique_ptr<Tokenizer> tokenizer;  // nullptr: none
    std::int64_t vocab_size = 0;
  };

  virtual ~EvalTask() = default;

  /// Adds sequences to `window` while it has fewer than `room` ids. False when there are no more.
  /// Error(kData) with file and line for what is wrong in the data.
  virtual bool ask(SequenceWindow& window, std::int64_t room) = 0;
  /// The answers to what the last ask() added: for each id of the window its log-probability (0 for
  /// the first of a sequence).
  virtual void take(const SequenceWindow& window, std::span<const double> logprobs) = 0;
  /// When all is answered. Error(kData) when there was nothing to score.
  virtual metrics::Measurement measurement() = 0;
  Json result() { return measurement().result; }
};

/// Perplexity, loss and bits per byte of texts (Transformers' "perplexity of fixed-length models"):
/// windows of `context` ids, `stride` apart, so that each id but the first of a document is scored
/// once, given at least context - stride ids before it where there are so many.
/// Bits per byte are those of the documents that are text. `log` hears of data that look as if they
/// had another format.
std::unique_ptr<EvalTask> perplexity_task(const EvalTask::Options& options, EvalTask::Model model,
                                          const Log& log);

/// Accuracy over {"context": "...", "choices": ["...", ...], "answer": i}: the choice whose text is
/// the most probable after the context (acc), and the same with log-probabilities divided by the
/// characters of the choice (acc_norm). Ids as lm-evaluation-harness makes them: context and choice
/// are encoded together, blanks at the end of a context belong to the choice. Where both are longer
/// than a sequence may be, the beginning of the context is cut off, and the item counted
/// (contexts_cut). Error(kData) for a choice without an id of its own, and for one that does not
/// fit.
std::unique_ptr<EvalTask> choice_task(const EvalTask::Options& options, EvalTask::Model model);

/// Classification: the same items, each choice a label. The label with the highest log-likelihood
/// is chosen, and options.scores says what is made of it. Lines of output are predictions, too.
std::unique_ptr<EvalTask> label_task(const EvalTask::Options& options, EvalTask::Model model);

}  // namespace moesaic
