// The data of a run on all ranks: the chief builds the token files, every rank opens them, or the
// images.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <vector>

#include "config/recipe.h"
#include "data/eval_data.h"
#include "data/step_data.h"
#include "data/task_data.h"
#include "data/tokenizer.h"
#include "data/unit_stream.h"
#include "parallel/rank_context.h"

namespace moesaic {

/// The data of the tasks of a run.
struct RunTasks {
  TaskSteps steps;
  const TaskData* train = nullptr;                     // what RunData::train is
  std::vector<std::shared_ptr<const EvalData>> valid;  // of each task
  std::vector<std::int64_t> sequences;                 // of each task's training data
  std::set<std::size_t> hidden = {};  // tasks whose validation data are protected (privacy)
};

struct RunData {
  std::unique_ptr<StepData> train;
  std::unique_ptr<EvalData> valid;  // nullptr: none
  Json description;                 // chief only: BuiltCorpora
  bool of_text = false;             // whether the tokenizer made any of its ids
  std::int64_t train_sequences = 0;
  std::int64_t max_steps = 0;  // of the recipe, or of its epochs, or of all tasks
  std::optional<RunTasks> tasks;
  std::vector<UnitStream*> units = {};  // what `train` has in a private run: one, or each task's
};

/// Tokens, or images where the model reads features. Collective over world. Error(kData), naming
/// the source, for data that is missing or malformed, or has token ids of vocab_size or above.
RunData open_data(const Recipe& recipe, const arch::Options& arch, const Tokenizer& tokenizer,
                  const RankContext& context);

/// Steps of a run over `examples`: train.max_steps, or as many as train.epochs say.
std::int64_t steps_of(const Recipe& recipe, std::int64_t examples);

}  // namespace moesaic
