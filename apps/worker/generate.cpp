#include <cstdio>
#include <memory>
#include <string>

#include "common/generate_arguments.h"
#include "core/standard_streams.h"
#include "data/input_file.h"
#include "inference/answer_run.h"
#include "inference/generator.h"
#include "inference/prompt.h"
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

void generate_on(const RankContext& context, InferenceModel& model, const GenerateArguments& a,
                 const Prompt& prompt) {
  const std::int64_t longest = std::ssize(prompt.ids) + a.max_new_tokens;
  warn_beyond_positions(
      context.log, model.arch(), longest,
      format("the prompt's {} tokens and {} new ones", prompt.ids.size(), a.max_new_tokens));
  Generator generator(context, model,
                      {.max_new_tokens = a.max_new_tokens,
                       .sampling = {.temperature = a.temperature,
                                    .top_k = a.top_k,
                                    .top_p = a.top_p,
                                    .min_p = a.min_p,
                                    .seed = a.seed},
                       .end_ids = prompt.end_ids,
                       .speculate = a.speculate});
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
                                 .many_passes = true});
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
