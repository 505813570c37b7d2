#include "data/dataset.h"

#include <algorithm>
#include <span>

#include "core/error.h"
#include "core/text_list.h"
#include "data/token_file.h"

namespace moesaic {
namespace {

// Plain text that is not packed is cut where nothing else is said.
TooLong too_long_of(const DataOptions& options, bool is_cut) {
  const std::string said = options.too_long.value_or(is_cut ? "chunk" : "stop");
  if (said == "truncate") return TooLong::kTruncate;
  if (said == "skip") return TooLong::kSkip;
  return said == "chunk" ? TooLong::kChunk : TooLong::kStop;
}

Sequences open_source(const SourceOptions& source, const CorpusFile& file,
                      const DataOptions& options, std::int64_t vocab_size) {
  const auto tokens = TokenFile::open(file.path, source.path);
  if (tokens->max_id() >= vocab_size) {
    throw Error(ErrorKind::kData,
                format("{}: token id {} is outside the model's vocabulary, vocab_size is {}",
                       source.path, tokens->max_id(), vocab_size),
                "raise model.config.vocab_size, or use the tokenizer of the model");
  }
  if (options.packs_end_to_end()) return Sequences::packed(tokens, options.sequence_length);
  const bool whole = options.packing == DataOptions::Packing(false);
  const LongDocuments long_documents = {too_long_of(options, whole && file.of_text),
                                        options.overlap};
  return whole ? Sequences::per_document(tokens, options.sequence_length, long_documents)
               : Sequences::best_fit(tokens, options.sequence_length, long_documents);
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

Json description_of(const SourceOptions& source, const BuiltSource& built) {
  constexpr std::size_t kMostFiles = 1000;
  Json description = {{"path", source.path}, {"digest", built.digest}};
  if (!built.inputs.empty() && built.inputs.size() <= kMostFiles)
    description["files"] = built.inputs;
  return description;
}

constexpr const char* kOfText = "text";  // of files whose ids a tokenizer made; "ids" of others

void append(const std::vector<CorpusFile>& files, std::vector<std::string>& texts) {
  for (const CorpusFile& file : files) {
    texts.push_back(file.path);
    texts.emplace_back(file.of_text ? kOfText : "ids");
  }
}

std::vector<CorpusFile> files_in(std::span<const std::string> texts) {
  std::vector<CorpusFile> files;
  for (std::size_t i = 0; i + 1 < texts.size(); i += 2)
    files.push_back({texts[i], texts[i + 1] == kOfText});
  return files;
}

}  // namespace

bool CorpusPaths::any_of_text() const {
  const auto of_text = [](const CorpusFile& file) { return file.of_text; };
  return std::any_of(train.begin(), train.end(), of_text) ||
         std::any_of(valid.begin(), valid.end(), of_text);
}

std::string CorpusPaths::packed() const {
  std::vector<std::string> all;
  append(train, all);
  all.emplace_back();  // no path is empty
  append(valid, all);
  return pack_texts(all);
}

CorpusPaths CorpusPaths::unpacked(const std::string& text) {
  const std::vector<std::string> all = unpack_texts(text);
  const auto middle = std::find(all.begin(), all.end(), "");
  MOESAIC_ASSERT(middle != all.end());
  return {files_in({all.begin(), middle}), files_in({middle + 1, all.end()})};
}

EncodeOptions encode_options(const Recipe& recipe) {
  return {.tokenizer = recipe.tokenizer,
          .chat_template = recipe.data.chat_template,
          .loss_on = recipe.data.loss_on,
          .on_error = recipe.data.on_error,
          .owners = recipe.privacy && recipe.privacy->unit == "user"};
}

BuiltCorpora build_corpora(const Recipe& recipe, const Tokenizer& tokenizer,
                           const std::string& cache, const Log& log,
                           const std::function<void()>& alive) {
  EncodeOptions encode = encode_options(recipe);
  MOESAIC_CHECK(!recipe.data.train.empty(), ErrorKind::kRecipe, "data.train names no source");
  BuiltCorpora corpora;
  const auto build = [&](const std::vector<SourceOptions>& sources, const char* key,
                         std::vector<CorpusFile>& files) {
    corpora.description[key] = Json::array();
    for (const SourceOptions& source : sources) {
      const BuiltSource built = build_token_file(source, tokenizer, cache, log, encode, alive);
      files.push_back(built.file);
      corpora.description[key].push_back(description_of(source, built));
    }
  };
  build(recipe.data.train, "train", corpora.paths.train);
  encode.owners = false;  // of training data
  build(recipe.data.valid, "valid", corpora.paths.valid);
  return corpora;
}

std::vector<Sequences> open_train_sources(const Recipe& recipe, const CorpusPaths& paths,
                                          std::int64_t vocab_size) {
  return open_sources(recipe.data.train, paths.train, recipe.data, vocab_size);
}

TokenStream open_train(const Recipe& recipe, const CorpusPaths& paths, std::int64_t vocab_size,
                       const StreamOptions& stream) {
  return TokenStream(open_train_sources(recipe, paths, vocab_size), weights_of(recipe.data.train),
                     stream);
}

std::vector<Sequences> open_unit_sources(const Recipe& recipe, const CorpusPaths& paths,
                                         std::int64_t vocab_size) {
  DataOptions data = recipe.data;
  if (recipe.privacy->unit != "sequence" && data.packing != DataOptions::Packing(false)) {
    data.packing = false;
    data.too_long = data.too_long.value_or("stop");
  }
  return open_sources(data.train, paths.train, data, vocab_size);
}

EvalBatches open_valid(const Recipe& recipe, const CorpusPaths& paths, std::int64_t vocab_size) {
  return EvalBatches(open_sources(recipe.data.valid, paths.valid, recipe.data, vocab_size),
                     recipe.train.micro_batch_size);
}

}  // namespace moesaic
