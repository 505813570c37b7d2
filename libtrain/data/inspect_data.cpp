#include "data/inspect_data.h"

#include <stdlib.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "config/recipe_reader.h"
#include "config/tasks.h"
#include "data/dataset.h"
#include "data/token_file.h"

namespace moesaic {
namespace {

// Gone with all that is in it at the end.
class ScratchFolder {
 public:
  ScratchFolder() : path_((std::filesystem::temp_directory_path() / "moesaic-XXXXXX").string()) {
    MOESAIC_CHECK(::mkdtemp(path_.data()) != nullptr, ErrorKind::kCheckpoint,
                  "cannot make the folder {}: {}", path_, std::strerror(errno));
  }
  ~ScratchFolder() {
    std::error_code code;
    std::filesystem::remove_all(path_, code);
  }
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;

  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

struct DataCounts {
  std::int64_t documents = 0, tokens = 0, targets = 0, sequences = 0, inputs = 0;
  std::int64_t truncated = 0, cut = 0, skipped = 0;

  void add(const Sequences& source) {
    documents += source.tokens().documents();
    tokens += source.tokens().ids();
    targets += source.total_targets();
    sequences += source.size();
    for (std::int64_t i = 0; i < source.size(); ++i) inputs += source.inputs(i);
    truncated += source.truncated();
    cut += source.cut();
    skipped += source.skipped();
  }
};

/// The training data of all tasks are counted together.
Recipe with_data_of_tasks(Recipe recipe) {
  for (const ContinualTask& task : tasks_of(recipe))
    recipe.data.train.insert(recipe.data.train.end(), task.train.begin(), task.train.end());
  return recipe;
}

}  // namespace

Json inspect_data(const Recipe& given, const Log& log) {
  const Recipe recipe = with_data_of_tasks(given);
  const auto tokenizer = make_tokenizer(recipe.tokenizer);
  const EncodeOptions encode = encode_options(recipe);
  const ScratchFolder folder;
  CorpusPaths paths;
  DataCounts counts;
  for (const SourceOptions& source : recipe.data.train) {  // a folder each: all of them are counted
    const std::string cache = format("{}/{}", folder.path(), paths.train.size());
    const BuiltSource built = build_token_file(source, *tokenizer, cache, log, encode);
    counts.skipped += static_cast<std::int64_t>(built.bad_lines);
    paths.train.push_back(built.file);
  }
  const std::int64_t vocab_size = architecture_of(recipe).vocab_size;
  for (const Sequences& source : open_train_sources(recipe, paths, vocab_size)) counts.add(source);
  const double room =
      static_cast<double>(counts.sequences) * static_cast<double>(recipe.data.sequence_length);
  return {{"documents", counts.documents},
          {"tokens", counts.tokens},
          {"targets", counts.targets},
          {"sequences", counts.sequences},
          {"fill", static_cast<double>(counts.inputs) / room},
          {"truncated", counts.truncated},
          {"cut", counts.cut},
          {"skipped", counts.skipped}};
}

std::string readable_data(const Json& inspected) {
  const auto number = [&](const char* key) { return inspected.at(key).get<std::int64_t>(); };
  const auto tokens = static_cast<double>(number("tokens"));
  return format(
      "documents  {}, {} truncated, {} cut, {} skipped\ntokens     {}, {:.1f} a document\n"
      "targets    {}, {:.1f} % of the tokens\nsequences  {}, filled to {:.1f} %\n",
      number("documents"), number("truncated"), number("cut"), number("skipped"), number("tokens"),
      tokens / static_cast<double>(number("documents")), number("targets"),
      100 * static_cast<double>(number("targets")) / tokens, number("sequences"),
      100 * inspected.at("fill").get<double>());
}

}  // namespace moesaic
