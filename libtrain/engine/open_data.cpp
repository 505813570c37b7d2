#include "engine/open_data.h"

#include <algorithm>
#include <cmath>

#include "config/tasks.h"
#include "data/dataset.h"
#include "data/image_batches.h"
#include "data/image_units.h"
#include "data/replay_data.h"
#include "data/sequence_units.h"
#include "engine/open_units.h"
#include "engine/source_digests.h"
#include "privacy/shared_key.h"
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

// What is in the data twice changes a step by twice clip_norm; all of a user's is one unit. Chief
// only.
void require_once(const std::string& unit, const Json& train) {
  const std::string again = unit == "user" ? "" : repeated_source(train);
  if (again.empty()) return;
  throw Error(
      ErrorKind::kRecipe,
      format("the training data have a file of {} twice, by another name or as a copy: each {} "
             "in it would change a step by twice privacy.clip_norm",
             again, unit),
      "leave out one of the two");
}

// Opens the parts of a run's data. What several of them take of a file of images is read once.
class DataOpener {
 public:
  DataOpener(const arch::Options& arch, const Tokenizer& tokenizer, const RankContext& context)
      : arch_(arch), tokenizer_(tokenizer), context_(context) {}

  RunData open_tasks(const Recipe& recipe);
  /// The data of one task, or of a run without tasks.
  RunData open_one(const Recipe& recipe) {
    if (recipe.privacy) return open_private(recipe);
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
  /// Units that are drawn, of new and old data together.
  RunData open_private(const Recipe& recipe);
  // Of a recipe whose data.train has old sources after its `own`; they fill in the rest of `data`.
  std::unique_ptr<Units> image_units(const Recipe& recipe, std::size_t own, RunData& data);
  std::unique_ptr<Units> token_units(const Recipe& recipe, std::size_t own, RunData& data);
  CorpusPaths build_tokens(const Recipe& recipe, RunData& data);

  const arch::Options& arch_;
  const Tokenizer& tokenizer_;
  const RankContext& context_;
  ImageFiles files_;
};

// Chief only: what is replayed stands apart.
void tell_replayed(std::size_t own, Json& description) {
  Json& train = description.at("train");
  if (train.size() == own) return;
  Json fresh = Json::array(), old = Json::array();
  for (std::size_t i = 0; i < train.size(); ++i) (i < own ? fresh : old).push_back(train[i]);
  require_apart(old, description.at("valid"));
  train = std::move(fresh);
  description["replay"] = std::move(old);
}

std::unique_ptr<Units> DataOpener::image_units(const Recipe& recipe, std::size_t own,
                                               RunData& data) {
  std::unique_ptr<Units> units;
  agreed(context_.world, "data.images", [&] {
    units = std::make_unique<ImageUnits>(open_unit_images(recipe, arch_, files_));
    data.train_sequences = units->in_first(own);
    if (!recipe.data.valid.empty())
      data.valid = std::make_unique<ImageEval>(open_valid_images(recipe, arch_, files_));
    if (context_.is_chief()) data.description = describe_images(recipe.data, files_);
  });
  return units;
}

std::unique_ptr<Units> DataOpener::token_units(const Recipe& recipe, std::size_t own,
                                               RunData& data) {
  const CorpusPaths corpora = build_tokens(recipe, data);
  std::unique_ptr<Units> units;
  agreed(context_.world, "data.sequences", [&] {
    std::vector<Sequences> sources = open_unit_sources(recipe, corpora, arch_.vocab_size);
    for (std::size_t i = 0; i < own; ++i) data.train_sequences += sources[i].size();
    UnitList list(recipe.privacy->unit, sources);
    units = std::make_unique<SequenceUnits>(std::move(sources), std::move(list));
    if (!recipe.data.valid.empty())
      data.valid = std::make_unique<EvalBatches>(open_valid(recipe, corpora, arch_.vocab_size));
  });
  return units;
}

RunData DataOpener::open_private(const Recipe& recipe) {
  RunData data;
  const SecretKey key = shared_key(context_.world, recipe.privacy->noise_seed);
  const Recipe joined = with_replayed(recipe);
  const std::size_t own = recipe.data.train.size();
  std::unique_ptr<Units> units =
      arch_.reads_features() ? image_units(joined, own, data) : token_units(joined, own, data);
  agreed(context_.world, "data.units", [&] {
    if (context_.is_chief()) {
      if (!arch_.reads_features()) require_once(recipe.privacy->unit, data.description.at("train"));
      tell_replayed(own, data.description);
    }
    draw_units(recipe, arch_, std::move(units), key, data);
  });
  return data;
}

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

CorpusPaths DataOpener::build_tokens(const Recipe& recipe, RunData& data) {
  std::string paths;
  if (context_.is_chief()) {
    const std::string cache = recipe.data.cache.value_or(recipe.run_dir + "/cache");
    BuiltCorpora built = build_corpora(recipe, tokenizer_, cache, context_.log,
                                       [this] { context_.world.progress(); });
    data.description = std::move(built.description);
    paths = built.paths.packed();
  }
  CorpusPaths corpora = CorpusPaths::unpacked(context_.world.broadcast(paths, 0, "data.paths"));
  data.of_text = corpora.any_of_text();
  return corpora;
}

RunData DataOpener::open_tokens(const Recipe& recipe, const StreamOptions& stream) {
  RunData data;
  const CorpusPaths corpora = build_tokens(recipe, data);
  const std::int64_t vocab_size = arch_.vocab_size;
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
    all.units.insert(all.units.end(), one.units.begin(), one.units.end());
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
  RunData data = tasks_of(recipe).empty() ? opener.open_one(recipe) : opener.open_tasks(recipe);
  if (recipe.privacy) protect_data(recipe, context, data);
  return data;
}

}  // namespace moesaic
