#include "inference/answer_run.h"

#include <memory>
#include <optional>

#include "core/error.h"
#include "data/output_file.h"
#include "data/text/unicode.h"
#include "inference/answer_file.h"
#include "inference/prompt.h"
#include "inference/scorer.h"
#include "store/agreement.h"

namespace moesaic {
namespace {

// The chief's side: what is asked, and what is made of the answers.
class AnswerBook {
 public:
  AnswerBook(const AnswerOptions& options, const InferenceModel& model, const Log& log)
      : options_(options),
        arch_(model.arch()),
        log_(log),
        evaluation_(options.scores),
        file_({.path = options.data, .task = options.scores.task, .limit = options.limit}),
        prompt_(Prompt::open(model.files(), {.chat = options.chat,
                                             .system = options.system,
                                             .vocab_size = model.arch().vocab_size})) {
    if (!options.output.empty()) output_.emplace(options.output);
  }

  const Prompt& prompt() const { return prompt_; }

  /// The next prompt's ids in prompt(). False when there is none.
  bool ask() {
    if (!file_.next(item_)) return false;
    prompt_.ids = prompt_.encode(item_.prompt, file_.where());
    MOESAIC_CHECK(!prompt_.ids.empty(), ErrorKind::kData,
                  "{}: the prompt has no tokens, and the tokenizer writes none before a text",
                  file_.where());
    const std::int64_t tokens = std::ssize(prompt_.ids) + options_.max_new_tokens;
    warned_ = warned_ || warn_beyond_positions(log_, arch_, tokens,
                                               format("{}: prompt and answer", file_.where()));
    return true;
  }

  void take(const std::string& text) {
    item_.answer.prediction = unicode::repaired(text);  // a model of bytes may write anything
    evaluation_.add(item_.answer);
    if (output_) output_->write(prediction_line(item_.answer, options_.scores.task));
  }

  metrics::Measurement measurement() {
    metrics::Measurement measurement = measurement_of(evaluation_, options_.data);
    if (output_) output_->publish();
    return measurement;
  }

 private:
  const AnswerOptions& options_;
  const arch::Options& arch_;
  const Log& log_;
  metrics::Evaluation evaluation_;
  AnswerFile file_;
  AnswerFile::Item item_;
  Prompt prompt_;
  std::optional<OutputFile> output_;
  bool warned_ = false;  // of a text beyond the model's positions
};

}  // namespace

Generator::Result generate_text(Generator& generator, std::span<const std::uint32_t> prompt,
                                TextStream* stream,
                                const std::function<void(const std::string&)>& put) {
  Generator::Result result = generator.run(prompt, [&](std::uint32_t id) {
    put(stream->add(id));
    return !stream->stopped();
  });
  if (stream != nullptr) put(stream->finish());
  return result;
}

metrics::Measurement run_answers(const RankContext& context, InferenceModel& model,
                                 const AnswerOptions& options) {
  std::unique_ptr<AnswerBook> book;
  std::vector<std::uint32_t> end_ids;
  agreed(context.world, "eval: task", [&] {
    if (!context.is_chief()) return;
    book = std::make_unique<AnswerBook>(options, model, context.log);
    end_ids = book->prompt().end_ids;
  });
  Generator generator(context, model,
                      {.max_new_tokens = options.max_new_tokens, .end_ids = end_ids});
  while (true) {
    SequenceWindow window;  // the next prompt
    agreed(context.world, "eval: data", [&] {
      if (book && book->ask()) window.add(book->prompt().ids);
    });
    if (broadcast(context.world, window).sequences() == 0) break;
    std::string text;
    const auto put = [&](const std::string& piece) { text += piece; };
    if (book) {
      TextStream stream(*book->prompt().tokenizer, options.stops);
      generate_text(generator, book->prompt().ids, &stream, put);
    } else {
      generate_text(generator, {}, nullptr, put);
    }
    agreed(context.world, "eval: answers", [&] {
      if (book) book->take(text);
    });
  }
  metrics::Measurement measurement;
  agreed(context.world, "eval: result", [&] {
    if (book) measurement = book->measurement();
  });
  return measurement;
}

}  // namespace moesaic
