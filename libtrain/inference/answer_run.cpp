#include "inference/answer_run.h"

#include <memory>
#include <optional>
#include <utility>

#include "core/error.h"
#include "data/output_file.h"
#include "data/text/unicode.h"
#include "inference/answer_file.h"
#include "inference/prompt.h"
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

  /// The ids of the next prompts, at most so many; none at the end.
  std::vector<std::vector<std::uint32_t>> ask(std::int64_t most) {
    std::vector<std::vector<std::uint32_t>> prompts;
    asked_.clear();
    AnswerFile::Item item;
    while (std::ssize(prompts) < most && file_.next(item)) {
      prompts.push_back(prompt_.encode(item.prompt, file_.where()));
      MOESAIC_CHECK(!prompts.back().empty(), ErrorKind::kData,
                    "{}: the prompt has no tokens, and the tokenizer writes none before a text",
                    file_.where());
      const std::int64_t tokens = std::ssize(prompts.back()) + options_.max_new_tokens;
      warned_ = warned_ || warn_beyond_positions(log_, arch_, tokens,
                                                 format("{}: prompt and answer", file_.where()));
      asked_.push_back(std::move(item.answer));
    }
    return prompts;
  }

  void take(const std::vector<GeneratedText>& texts) {
    for (std::size_t i = 0; i < texts.size(); ++i) {
      metrics::Answer& answer = asked_.at(i);
      answer.prediction = unicode::repaired(texts[i].text);  // a model of bytes may write anything
      evaluation_.add(answer);
      if (output_) output_->write(prediction_line(answer, options_.scores.task));
    }
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
  Prompt prompt_;
  std::optional<OutputFile> output_;
  std::vector<metrics::Answer> asked_;  // of the last prompts
  bool warned_ = false;                 // of a text beyond the model's positions
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

namespace {

std::vector<GeneratedText> texts_of(Generator& generator,
                                    std::span<const std::vector<std::uint32_t>> prompts,
                                    const Tokenizer* tokenizer,
                                    const std::vector<std::string>& stops) {
  std::vector<GeneratedText> texts(prompts.size());
  std::vector<TextStream> streams;
  for (std::size_t i = 0; i < prompts.size(); ++i) streams.emplace_back(*tokenizer, stops);
  std::vector<Generator::Result> results =
      generator.run_all(prompts, [&](std::size_t i, std::uint32_t id) {
        texts[i].text += streams[i].add(id);
        return !streams[i].stopped();
      });
  for (std::size_t i = 0; i < prompts.size(); ++i) {
    texts[i].text += streams[i].finish();
    texts[i].result = std::move(results[i]);
  }
  return texts;
}

// The chief's word on every rank.
bool chief_says(const Communicator& world, bool word) {
  return world.broadcast(word ? "yes" : "no", 0, "texts: more") == "yes";
}

}  // namespace

void generate_texts(const RankContext& context, Generator& generator, const TextSource* source,
                    const std::vector<std::string>& stops) {
  while (true) {
    std::vector<std::vector<std::uint32_t>> prompts;
    agreed(context.world, "texts: prompts", [&] {
      if (source != nullptr) prompts = source->ask();
    });
    if (!chief_says(context.world, !prompts.empty())) return;
    const std::vector<GeneratedText> texts =
        texts_of(generator, prompts, source != nullptr ? source->tokenizer : nullptr, stops);
    agreed(context.world, "texts: results", [&] {
      if (source != nullptr) source->take(texts);
    });
  }
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
  Generator generator(
      context, model,
      {.max_new_tokens = options.max_new_tokens, .end_ids = end_ids, .together = options.together});
  TextSource source;
  if (book) {
    source = {.tokenizer = book->prompt().tokenizer.get(),
              .ask = [&] { return book->ask(kPromptsOfText * options.together); },
              .take = [&](const std::vector<GeneratedText>& texts) { book->take(texts); }};
  }
  generate_texts(context, generator, book ? &source : nullptr, options.stops);
  metrics::Measurement measurement;
  agreed(context.world, "eval: result", [&] {
    if (book) measurement = book->measurement();
  });
  return measurement;
}

}  // namespace moesaic
