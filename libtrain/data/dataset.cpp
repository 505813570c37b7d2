#include "data/dataset.h"

#include <algorithm>

#include "core/error.h"
#include "data/token_file.h"

namespace moesaic {
namespace {

Sequences open_source(const SourceOptions& source, const CorpusFile& file,
                      const DataOptions& options, std::int64_t vocab_size) {
  const auto tokens = TokenFile::open(file.path, source.path);
  if (tokens->max_id() >= vocab_size) {
    throw Error(ErrorKind::kData,
                format("{}: token id {} is outside the model's vocabulary, vocab_size is {}",
                       source.path, tokens->max_id(), vocab_size),
                "raise model.config.vocab_size, or use the tokenizer of the model");
  }
  if (options.packing) return Sequences::packed(tokens, options.sequence_length);
  const auto long_documents =
      file.of_text ? Sequences::LongDocuments::kCut : Sequences::LongDocuments::kRefuse;
  return Sequences::per_document(tokens, options.sequence_length, long_documents);
}

std::vector<Sequences> open_sources(const std::vector<SourceOptions>& sources,
                                    const std::vector<CorpusFile>& files,
                                    const DataOptions& options, std::int64_t vocab_size) {
  MOESAIC_ASSERT(sources.size() == files.size());
  std::vector<Sequences> opened;
  for (std::size_t i = 0; i < sources.size(); ++i) {
    opened.push_back(open_source(sources[i], files[i], options, vocab_size));
  }
  return opened;
}

Json to_json(const std::vector<CorpusFile>& files) {
  Json json = Json::array();
  for (const CorpusFile& file : files)
    json.push_back({{"path", file.path}, {"of_text", file.of_text}});
  return json;
}

std::vector<CorpusFile> files_in(const Json& json) {
  std::vector<CorpusFile> files;
  for (const Json& file : json)
    files.push_back({file.at("path").get<std::string>(), file.at("of_text").get<bool>()});
  return files;
}

}  // namespace

bool CorpusPaths::any_of_text() const {
  const auto of_text = [](const CorpusFile& file) { return file.of_text; };
  return std::any_of(train.begin(), train.end(), of_text) ||
         std::any_of(valid.begin(), valid.end(), of_text);
}

std::string CorpusPaths::to_json() const {
  return Json{{"train", moesaic::to_json(train)}, {"valid", moesaic::to_json(valid)}}.dump();
}

CorpusPaths CorpusPaths::from_json(const std::string& text) {
  const Json json = parse_json(text, "paths of the token files", ErrorKind::kInternal);
  return {files_in(json.at("train")), files_in(json.at("valid"))};
}

CorpusPaths build_corpora(const DataOptions& options, const Tokenizer& tokenizer,
                          const std::string& cache, const Log& log) {
  MOESAIC_CHECK(!options.train.empty(), ErrorKind::kRecipe, "data.train names no source");
  CorpusPaths paths;
  for (const auto& source : options.train) {
    paths.train.push_back(build_token_file(source, tokenizer, cache, log));
  }
  for (const auto& source : options.valid) {
    paths.valid.push_back(build_token_file(source, tokenizer, cache, log));
  }
  return paths;
}

TokenStream open_train(const Recipe& recipe, const CorpusPaths& paths, std::int64_t vocab_size) {
  const auto& data = recipe.data;
  std::vector<double> weights;
  for (const auto& source : data.train) weights.push_back(source.weight);
  return TokenStream(open_sources(data.train, paths.train, data, vocab_size), weights,
                     {.seed = recipe.seed,
                      .shuffle = data.shuffle,
                      .global_batch_size = recipe.train.global_batch_size,
                      .micro_batch_size = recipe.train.micro_batch_size});
}

EvalBatches open_valid(const Recipe& recipe, const CorpusPaths& paths, std::int64_t vocab_size) {
  return EvalBatches(open_sources(recipe.data.valid, paths.valid, recipe.data, vocab_size),
                     recipe.train.micro_batch_size);
}

}  // namespace moesaic
