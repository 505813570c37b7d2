#include "engine/open_data.h"

#include <algorithm>
#include <cmath>

#include "config/tasks.h"
#include "data/dataset.h"
#include "data/image_batches.h"
#include "data/replay_data.h"
#include "engine/open_units.h"
#include "engine/source_digests.h"
#include "store/agreement.h"

namespace moesaic {
namespace {

// Training data in steps of one sequence, which ReplayData puts together.
StreamOptions one_by_one(StreamOptions stream) {
  stream.global_batch_size = stream.micro_batch_size = 1;
  return stream;
}

// Old data alone, in an order of their own.
Recipe recipe_of_old(const Recipe& recipe) {
  Recipe old = recipe;
  ++old.seed;
  old.data.train = recipe.continual->replay.sources;
  old.data.valid.clear();
  return old;
}

// What a model is trained on says nothing as validation. Chief only.
void require_apart(const Json& replay, const Json& valid) {
  const std::string shared = shared_source(replay, valid);
  if (shared.empty()) return;
  throw Error(
      ErrorKind::kRecipe,
      format("continual.replay.sources: {} has a file that is validation data, too", shared),
      "replay old training data, and validate on other files");
}

// Opens the parts of a run's data. What several of them take of a file of images is read once.
class DataOpener {
 public:
  DataOpener(const arch::Options& arch, const Tokenizer& tokenizer, const RankContext& context)
      : arch_(arch), tokenizer_(tokenizer), context_(context) {}

  RunData open_tasks(const Recipe& recipe);
  /// The data of one task, or of a run without tasks.
  RunData open_one(const Recipe& recipe) {
    const bool replays = recipe.continual && recipe.continual->replay.share > 0;
    return replays ? open_with_replay(recipe) : open_plain(recipe, StreamOptions::of(recipe));
  }

 private:
  RunData open_images(const Recipe& recipe, const StreamOptions& stream);
  RunData open_tokens(const Recipe& recipe, const StreamOptions& stream);
  RunData open_plain(const Recipe& recipe, const StreamOptions& stream) {
    return arch_.reads_features() ? open_images(recipe, stream) : open_tokens(recipe, stream);
  }
  RunData open_with_replay(const Recipe& recipe);

  const arch::Options& arch_;
  const Tokenizer& tokenizer_;
  const RankContext& context_;
  ImageFiles files_;
};

RunData DataOpener::open_images(const Recipe& recipe, const StreamOptions& stream) {
  RunData data;
  agreed(context_.world, "data.images", [&] {
    auto train = std::make_unique<ImageStream>(open_train_images(recipe, arch_, stream, files_));
    data.train_sequences = train->images();
    data.train = std::move(train);
    if (!recipe.data.valid.empty())
      data.valid = std::make_unique<ImageEval>(open_valid_images(recipe, arch_, files_));
    if (context_.is_chief()) data.description = describe_images(recipe.data, files_);
  });
  data.max_steps = steps_of(recipe, data.train_sequences);
  return data;
}

RunData DataOpener::open_tokens(const Recipe& recipe, const StreamOptions& stream) {
  RunData data;
  std::string paths;
  if (context_.is_chief()) {
    const std::string cache = recipe.data.cache.value_or(recipe.run_dir + "/cache");
    BuiltCorpora built = build_corpora(recipe, tokenizer_, cache, context_.log);
    data.description = std::move(built.description);
    paths = built.paths.packed();
  }
  const auto corpora = CorpusPaths::unpacked(context_.world.broadcast(paths, 0, "data.paths"));
  const std::int64_t vocab_size = arch_.vocab_size;
  data.of_text = corpora.any_of_text();
  if (recipe.privacy) return open_units(recipe, corpora, vocab_size, context_, std::move(data));
  auto train = std::make_unique<TokenStream>(open_train(recipe, corpora, vocab_size, stream));
  data.train_sequences = train->sequences();
  data.max_steps = steps_of(recipe, data.train_sequences);
  data.train = std::move(train);
  if (!recipe.data.valid.empty())
    data.valid = std::make_unique<EvalBatches>(open_valid(recipe, corpora, vocab_size));
  return data;
}

RunData DataOpener::open_with_replay(const Recipe& recipe) {
  const Recipe old_recipe = recipe_of_old(recipe);
  RunData data = open_plain(recipe, one_by_one(StreamOptions::of(recipe)));
  RunData old = open_plain(old_recipe, one_by_one(StreamOptions::of(old_recipe)));
  agreed(context_.world, "data.replay", [&] {
    if (!context_.is_chief()) return;
    require_apart(old.description.at("train"), data.description.at("valid"));
    data.description["replay"] = old.description.at("train");
  });
  data.of_text = data.of_text || old.of_text;
  data.train = std::make_unique<ReplayData>(
      std::move(data.train), std::move(old.train),
      ReplayData::Options{.share = recipe.continual->replay.share,
                          .global_batch_size = recipe.train.global_batch_size,
                          .micro_batch_size = recipe.train.micro_batch_size});
  return data;
}

RunData DataOpener::open_tasks(const Recipe& recipe) {
  RunData all;
  std::vector<std::unique_ptr<StepData>> train;
  std::vector<std::shared_ptr<const EvalData>> valid;
  std::vector<std::int64_t> steps, sequences;
  for (const ContinualTask& task : tasks_of(recipe)) {
    RunData one = open_one(task_recipe(recipe, task));
    const std::string key = format("continual.tasks[{}].", steps.size());
    for (const auto& [name, sources] : one.description.items())
      all.description[key + name] = sources;
    all.of_text = all.of_text || one.of_text;
    all.train_sequences += one.train_sequences;
    sequences.push_back(one.train_sequences);
    steps.push_back(one.max_steps);
    train.push_back(std::move(one.train));
    valid.push_back(std::move(one.valid));
  }
  const TaskSteps task_steps(steps);
  auto chained = std::make_unique<TaskData>(std::move(train), task_steps);
  all.max_steps = task_steps.total();
  all.tasks = RunTasks{task_steps, chained.get(), std::move(valid), std::move(sequences)};
  all.train = std::move(chained);
  return all;
}

}  // namespace

std::int64_t steps_of(const Recipe& recipe, std::int64_t examples) {
  if (recipe.train.max_steps) return *recipe.train.max_steps;
  const double drawn = recipe.train.epochs.value_or(1.0) * static_cast<double>(examples);
  const double at_once = recipe.privacy ? recipe.privacy->expected_batch_size
                                        : static_cast<double>(recipe.train.global_batch_size);
  return std::max<std::int64_t>(1, static_cast<std::int64_t>(std::ceil(drawn / at_once)));
}

RunData open_data(const Recipe& recipe, const arch::Options& arch, const Tokenizer& tokenizer,
                  const RankContext& context) {
  DataOpener opener(arch, tokenizer, context);
  return tasks_of(recipe).empty() ? opener.open_one(recipe) : opener.open_tasks(recipe);
}

}  // namespace moesaic
