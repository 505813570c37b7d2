#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "common/score_arguments.h"
#include "core/clock.h"
#include "core/memory.h"
#include "inference/score_run.h"
#include "inference_job.h"
#include "verbs.h"

namespace moesaic::worker {
namespace {

// "812 MB, 790 MB": of each rank in order, or the largest of many.
std::string peak_memory(const Communicator& world) {
  constexpr std::size_t kMostShown = 16;
  const auto all = world.all_gather(format("{:.0f} MB", peak_memory_mb()), "peak memory");
  if (all.size() <= kMostShown) return format("{}", join(all, ", "));
  return format("at most {:.0f} MB",
                world.all_reduce(peak_memory_mb(), ReduceOp::kMax, "peak memory"));
}

void report(const ScoreRun::Summary& summary, double seconds, const ScoreArguments& arguments,
            const RankContext& context) {
  context.log.info("scored    {} sequences, {} tokens in {:.1f} s, {:.0f} tokens/s",
                   summary.sequences, summary.tokens, seconds,
                   static_cast<double>(summary.tokens) / seconds);
  if (summary.not_finite > 0) {
    context.log.warn(
        "{} sequences have log-probabilities that are NaN or infinite: null in the "
        "output, and not in any sum",
        summary.not_finite);
  }
  if (!arguments.json || arguments.output.empty() || !context.world.is_chief()) return;
  const Json json = {{"output", arguments.output},
                     {"sequences", summary.sequences},
                     {"tokens", summary.tokens},
                     {"scored_tokens", summary.scored},
                     {"nll", summary.nll},
                     {"not_finite", summary.not_finite},
                     {"ranks", context.world.size()},
                     {"seconds_s", seconds}};
  std::fputs((json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n").c_str(), stdout);
}

int score(const ScoreArguments& arguments, const RankJob& job) {
  const InferenceArguments& a = arguments.inference;
  const RankContext context = model_context(inference_place(job, a), a);
  ScoreRun run(context, {.input = arguments.input,
                         .output = arguments.output,
                         .batch_tokens = arguments.batch_tokens,
                         .idle_s = a.timeout_s / 4});
  InferenceModel model(context, {.path = a.model,
                                 .adapter = a.adapter,
                                 .base = a.base,
                                 .precision = a.precision,
                                 .allow_nonfinite = a.allow_nonfinite,
                                 .file_weights = keeps_file_weights(a),
                                 .work_rows = work_rows(context, a)});
  const Stopwatch watch;
  const ScoreRun::Summary summary = run.run(model);
  report(summary, watch.seconds(), arguments, context);
  context.log.info("peak memory of the ranks: {}", peak_memory(context.world));
  return 0;
}

}  // namespace

void add_score(CLI::App& app, int& exit_code) {
  auto arguments = std::make_shared<ScoreArguments>();
  CLI::App* verb = app.add_subcommand("score", "Log-probabilities, as one rank of an MPI job");
  add_score_arguments(*verb, *arguments);
  verb->callback([arguments, &exit_code] {
    exit_code = run_inference("lower --batch-tokens, use more ranks or shorter sequences",
                              [&](const RankJob& job) { return score(*arguments, job); });
  });
}

}  // namespace moesaic::worker
