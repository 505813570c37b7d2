#include "data/corpus.h"

#include <algorithm>
#include <filesystem>

#include "core/clock.h"
#include "core/digest.h"
#include "core/fs.h"
#include "data/corpus_writer.h"
#include "data/file_glob.h"
#include "data/folder_lock.h"
#include "data/input_file.h"
#include "data/inspect.h"
#include "data/token_file.h"

namespace moesaic {
namespace {

namespace fs = std::filesystem;

constexpr const char* kBuilder = "moesaic corpus 1";  // raised when the same input gives other ids

bool is_token_file(const std::string& path) { return path.ends_with(".tokens"); }

std::string digest_of_content(const std::string& path) {
  InputFile file(path);
  Digest digest;
  for (auto block = file.next_block(); !block.empty(); block = file.next_block()) {
    digest.update(block);
  }
  return digest.hex();
}

// Of all that decides the ids. File names do not: a corpus that moves is not tokenised again.
std::string cache_key(const std::vector<std::string>& digests, const std::string& format_name,
                      const Tokenizer& tokenizer) {
  Digest digest;
  digest.update(format("{}\n{}\n", kBuilder, format_name));
  if (format_name != "tokens") digest.update(tokenizer.describe().dump() + "\n");
  for (const auto& of_file : digests) digest.update(of_file + "\n");
  return digest.hex();
}

std::string counted(std::uint64_t count, const char* one, const char* many) {
  return format("{} {}", count, count == 1 ? one : many);
}

void write_corpus(const std::string& path, const std::vector<std::string>& files,
                  const std::string& format_name, const Tokenizer& tokenizer, const Log& log,
                  int threads = 0) {
  const Stopwatch watch;
  CorpusWriter corpus(path, corpus_format(format_name), tokenizer, threads);
  Stopwatch since_line;
  for (const auto& file : files) {
    corpus.add_file(file);
    if (since_line.seconds() < 10) continue;
    since_line.lap();
    log.info("data: tokenised {:.1f} MB so far, now {}",
             1e-6 * static_cast<double>(corpus.bytes_read()), file);
  }
  corpus.finish();
  if (corpus.documents() == 0) {
    throw Error(ErrorKind::kData,
                format("no text in {}{}", files.front(),
                       files.size() > 1 ? format(" and {} more files", files.size() - 1) : ""),
                "every document is empty: check the files and data format");
  }
  corpus.publish();
  if (corpus.skipped_documents() > 0) {
    log.warn("data: {} skipped",
             counted(corpus.skipped_documents(), "empty document", "empty documents"));
  }
  log.info("data: {}, {}, {:.1f} MB -> {} token ids in {:.1f} s",
           counted(files.size(), "file", "files"),
           counted(corpus.documents(), "document", "documents"),
           1e-6 * static_cast<double>(corpus.bytes_read()), corpus.ids(), watch.seconds());
}

// A cached file that cannot be trusted is no reason to stop: it is built again.
bool usable(const std::string& path, const Log& log) {
  std::error_code code;
  if (!fs::exists(path, code)) return false;
  std::string why = "its digest is another";
  try {
    if (TokenFile::open(path)->verify()) return true;
  } catch (const Error& error) {
    why = error.what();
  }
  log.warn("data: cached {} is damaged ({}), it is built again", path, why);
  return false;
}

BuiltSource checked_token_file(const std::vector<std::string>& files, const SourceOptions& source) {
  if (files.size() != 1) {
    throw Error(ErrorKind::kData,
                format("data source '{}' matches {} files, a token file (*.tokens) must be alone",
                       source.path, files.size()),
                "list each token file as a source of its own");
  }
  const auto tokens = TokenFile::open(files[0], source.path);
  MOESAIC_CHECK(tokens->verify(), ErrorKind::kData,
                "token file {} is damaged: the digest of its content is another", files[0]);
  return {files[0], tokens->digest(), {}};
}

}  // namespace

BuiltSource build_token_file(const SourceOptions& source, const Tokenizer& tokenizer,
                             const std::string& cache, const Log& log) {
  const CorpusFormat kind = corpus_format(source.format);
  const auto files = expand_files(source.path, log);
  if (kind == CorpusFormat::kTokens && std::any_of(files.begin(), files.end(), is_token_file)) {
    return checked_token_file(files, source);
  }
  make_folder(cache);
  const FolderLock lock(cache, log);
  BuiltSource built;
  std::vector<std::string> digests;
  for (const auto& file : files) digests.push_back(built.inputs[file] = digest_of_content(file));
  built.token_file = format("{}/{}.tokens", cache, cache_key(digests, source.format, tokenizer));
  if (usable(built.token_file, log)) {
    log.info("data: {} as tokenised before, in {}", source.path, built.token_file);
  } else {
    write_corpus(built.token_file, files, source.format, tokenizer, log);
  }
  built.digest = TokenFile::open(built.token_file)->digest();
  return built;
}

Json build_output(const BuildOptions& options, const Log& log) {
  const auto tokenizer = make_tokenizer(options.tokenizer);
  MOESAIC_CHECK(is_token_file(options.output), ErrorKind::kUsage,
                "--output is '{}', its name must end in .tokens", options.output);
  std::vector<std::string> files;
  for (const auto& input : options.inputs) {
    for (const auto& file : expand_files(input, log)) files.push_back(file);
  }
  MOESAIC_CHECK(!files.empty(), ErrorKind::kUsage, "no input files");
  for (const auto& file : files) {
    MOESAIC_CHECK(!is_token_file(file), ErrorKind::kData, "{} is tokenised already", file);
  }
  write_corpus(options.output, files, options.format, *tokenizer, log, options.threads);
  return inspect_token_file(options.output);
}

}  // namespace moesaic
