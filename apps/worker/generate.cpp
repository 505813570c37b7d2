#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "common/generate_arguments.h"
#include "core/clock.h"
#include "core/standard_streams.h"
#include "data/input_file.h"
#include "data/output_file.h"
#include "inference/answer_run.h"
#include "inference/generator.h"
#include "inference/prompt.h"
#include "inference/prompt_file.h"
#include "inference/text_stream.h"
#include "inference_job.h"
#include "store/agreement.h"
#include "verbs.h"

namespace moesaic::worker {
namespace {

constexpr std::size_t kMostPromptBytes = std::size_t{64} << 20U;

// Writes text at once, so that a reader sees it come.
void show(const std::string& text) {
  write_stdout(text);
  flush_stdout();
}

// Chief.
Prompt read_prompt(const GenerateArguments& a, const InferenceModel& model) {
  const std::string text = a.prompt ? *a.prompt : InputFile().rest(kMostPromptBytes);
  return Prompt::make(model.files(), text,
                      {.chat = a.chat, .system = a.system, .vocab_size = model.arch().vocab_size});
}

void report(const Generator::Result& result, const std::string& text, const Prompt& prompt,
            const GenerateArguments& a, const Log& log) {
  const auto later = static_cast<double>(result.ids.size() - 1);
  log.info("prompt    {} tokens in {:.2f} s", prompt.ids.size(), result.prompt_s);
  log.info("generated {} tokens, {:.1f} tokens/s, finished by {}", result.ids.size(),
           later > 0 ? later / result.tokens_s : 0.0, result.finish_reason);
  if (a.speculate) log.info("drafts    {:.2f} tokens a pass", result.tokens_per_pass());
  if (!a.json) return show("\n");
  const Json json = {{"text", text},
                     {"ids", result.ids},
                     {"finish_reason", result.finish_reason},
                     {"prompt_ids", prompt.ids},
                     {"tokens_per_pass", result.tokens_per_pass()},
                     {"prompt_s", result.prompt_s},
                     {"tokens_per_s", later > 0 ? later / result.tokens_s : 0.0}};
  show(json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n");
}

Generator::Options generator_options(const GenerateArguments& a,
                                     const std::vector<std::uint32_t>& end_ids) {
  return {.max_new_tokens = a.max_new_tokens,
          .sampling = {.temperature = a.temperature,
                       .top_k = a.top_k,
                       .top_p = a.top_p,
                       .min_p = a.min_p,
                       .seed = a.seed},
          .end_ids = end_ids,
          .together = a.together,
          .speculate = a.speculate};
}

void generate_on(const RankContext& context, InferenceModel& model, const GenerateArguments& a,
                 const Prompt& prompt) {
  const std::int64_t longest = std::ssize(prompt.ids) + a.max_new_tokens;
  warn_beyond_positions(
      context.log, model.arch(), longest,
      format("the prompt's {} tokens and {} new ones", prompt.ids.size(), a.max_new_tokens));
  Generator generator(context, model, generator_options(a, prompt.end_ids));
  std::string text;
  std::unique_ptr<TextStream> stream;
  if (context.is_chief()) stream = std::make_unique<TextStream>(*prompt.tokenizer, a.stops);
  const auto put = [&](const std::string& piece) {
    text += piece;
    if (!a.json) show(piece);
  };
  const Generator::Result result = generate_text(generator, prompt.ids, stream.get(), put);
  if (context.is_chief()) report(result, text, prompt, a, context.log);
}

// The chief's side of --input: the file of prompts, and that of their texts.
class PromptBook {
 public:
  PromptBook(const GenerateArguments& a, const InferenceModel& model, const Log& log)
      : a_(a),
        arch_(model.arch()),
        log_(log),
        input_(a.input),
        output_(a.output),
        prompt_(Prompt::open(
            model.files(),
            {.chat = a.chat, .system = a.system, .vocab_size = model.arch().vocab_size})) {}

  const Prompt& prompt() const { return prompt_; }

  std::vector<std::vector<std::uint32_t>> ask() {
    std::vector<std::vector<std::uint32_t>> prompts;
    std::vector<std::uint32_t> ids;
    while (std::ssize(prompts) < kPromptsOfText * a_.together && input_.next(prompt_, ids)) {
      warned_ =
          warned_ || warn_beyond_positions(log_, arch_, std::ssize(ids) + a_.max_new_tokens,
                                           format("{}: prompt and new tokens", input_.where()));
      prompts.push_back(ids);
    }
    return prompts;
  }

  void take(const std::vector<GeneratedText>& texts) {
    std::string lines;
    for (const auto& [result, text] : texts) {
      const Json line = {
          {"text", text}, {"ids", result.ids}, {"finish_reason", result.finish_reason}};
      lines += line.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
      tokens_ += std::ssize(result.ids);
    }
    texts_ += std::ssize(texts);
    output_.write(lines);
  }

  void finish() {
    output_.publish();
    log_.info("generated {} tokens of {} texts, {:.1f} tokens/s", tokens_, texts_,
              static_cast<double>(tokens_) / watch_.seconds());
  }

 private:
  const GenerateArguments& a_;
  const arch::Options& arch_;
  const Log& log_;
  PromptFile input_;
  OutputFile output_;
  Prompt prompt_;
  bool warned_ = false;  // of a text beyond the model's positions
  std::int64_t texts_ = 0, tokens_ = 0;
  Stopwatch watch_;
};

void generate_all(const RankContext& context, InferenceModel& model, const GenerateArguments& a) {
  std::unique_ptr<PromptBook> book;
  TextSource source;
  std::vector<std::uint32_t> end_ids;
  agreed(context.world, "generate: files", [&] {
    if (!context.is_chief()) return;
    book = std::make_unique<PromptBook>(a, model, context.log);
    end_ids = book->prompt().end_ids;
    source = {.tokenizer = book->prompt().tokenizer.get(),
              .ask = [&] { return book->ask(); },
              .take = [&](const std::vector<GeneratedText>& texts) { book->take(texts); }};
  });
  Generator generator(context, model, generator_options(a, end_ids));
  generate_texts(context, generator, book ? &source : nullptr, a.stops);
  if (book) book->finish();
}

int generate(const GenerateArguments& a, const RankJob& job) {
  const InferenceArguments& i = a.inference;
  const RankContext context = model_context(inference_place(job, i), i);
  InferenceModel model(context, {.path = i.model,
                                 .adapter = i.adapter,
                                 .base = i.base,
                                 .precision = i.precision,
                                 .allow_nonfinite = i.allow_nonfinite,
                                 .file_weights = keeps_file_weights(i),
                                 .predict = a.speculate,
                                 .many_passes = true,
                                 .work_rows = work_rows(context, i)});
  if (!a.input.empty()) {
    generate_all(context, model, a);
    return 0;
  }
  Prompt prompt;
  agreed(context.world, "generate: prompt", [&] {
    if (context.is_chief()) prompt = read_prompt(a, model);
  });
  generate_on(context, model, a, prompt);
  return 0;
}

}  // namespace

void add_generate(CLI::App& app, int& exit_code) {
  auto arguments = std::make_shared<GenerateArguments>();
  CLI::App* verb = app.add_subcommand("generate", "Continues a text, as one rank of an MPI job");
  add_generate_arguments(*verb, *arguments);
  verb->callback([arguments, &exit_code] {
    exit_code = run_inference("use --precision bfloat16 or more ranks with --expert",
                              [&](const RankJob& job) { return generate(*arguments, job); });
  });
}

}  // namespace moesaic::worker
