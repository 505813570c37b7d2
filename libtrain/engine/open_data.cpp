#include "engine/open_data.h"

#include <algorithm>
#include <cmath>

#include "data/dataset.h"

namespace moesaic {
namespace {

std::int64_t steps_of(const Recipe& recipe, std::int64_t sequences) {
  if (recipe.train.max_steps) return *recipe.train.max_steps;
  const double drawn = recipe.train.epochs.value_or(1.0) * static_cast<double>(sequences);
  return std::max<std::int64_t>(
      1, static_cast<std::int64_t>(
             std::ceil(drawn / static_cast<double>(recipe.train.global_batch_size))));
}

}  // namespace

RunData open_data(const Recipe& recipe, std::int64_t vocab_size, const Tokenizer& tokenizer,
                  const RankContext& context) {
  RunData data;
  std::string paths;
  if (context.is_chief()) {
    const std::string cache = recipe.data.cache.value_or(recipe.run_dir + "/cache");
    BuiltCorpora built = build_corpora(recipe, tokenizer, cache, context.log);
    data.description = std::move(built.description);
    paths = built.paths.packed();
  }
  const auto corpora = CorpusPaths::unpacked(context.world.broadcast(paths, 0, "data.paths"));
  auto train = std::make_unique<TokenStream>(open_train(recipe, corpora, vocab_size));
  data.of_text = corpora.any_of_text();
  data.train_sequences = train->sequences();
  data.max_steps = steps_of(recipe, data.train_sequences);
  data.train = std::move(train);
  if (!recipe.data.valid.empty())
    data.valid = std::make_unique<EvalBatches>(open_valid(recipe, corpora, vocab_size));
  return data;
}

}  // namespace moesaic
