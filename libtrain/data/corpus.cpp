#include "data/corpus.h"

#include <filesystem>
#include <utility>

#include "config/data_format.h"
#include "core/clock.h"
#include "core/digest.h"
#include "core/file_glob.h"
#include "core/fs.h"
#include "core/path.h"
#include "data/corpus_writer.h"
#include "data/folder_lock.h"
#include "data/input_file.h"
#include "data/inspect.h"
#include "data/token_file.h"

namespace moesaic {
namespace {

namespace fs = std::filesystem;

constexpr const char* kBuilder = "moesaic corpus 1";  // raised when the same input gives other ids

std::string digest_of_content(const std::string& path, const std::function<void()>& alive) {
  InputFile file(path);
  Digest digest;
  for (auto block = file.next_block(); !block.empty(); block = file.next_block()) {
    digest.update(block);
    if (alive) alive();
  }
  return digest.hex();
}

// Of all that decides the ids. File names do not: a corpus that moves is not tokenised again.
std::string cache_key(const std::vector<std::string>& digests, const DocumentEncoder& encoder,
                      const Tokenizer& tokenizer) {
  Digest digest;
  digest.update(format("{}\n{}\n", kBuilder, name_of(encoder.data_format())));
  if (is_of_text(encoder.data_format())) digest.update(tokenizer.describe().dump() + "\n");
  digest.update(encoder.key());
  for (const auto& of_file : digests) digest.update(of_file + "\n");
  return digest.hex();
}

std::string counted(std::uint64_t count, const char* one, const char* many) {
  return format("{} {}", count, count == 1 ? one : many);
}

void log_left_out(const CorpusWriter::Counts& counts, const Log& log) {
  if (counts.empty_documents > 0) {
    log.warn("data: {} skipped",
             counted(counts.empty_documents, "empty document", "empty documents"));
  }
  if (counts.bad_lines > 0) {
    log.warn(
        "data: {} left out, named above (data.on_error: skip)",
        counted(counts.bad_lines, "line that cannot be read is", "lines that cannot be read are"));
  }
}

// Returns the number of lines that were left out.
std::uint64_t write_corpus(const std::string& path, const std::vector<std::string>& files,
                           DocumentEncoder encoder, const Tokenizer& tokenizer, const Log& log,
                           int threads, const std::function<void()>& alive) {
  const Stopwatch watch;
  const char* const format_name = name_of(encoder.data_format());
  CorpusWriter corpus(path, std::move(encoder), tokenizer, log, threads, alive);
  Stopwatch since_line;
  for (const auto& file : files) {
    corpus.add_file(file);
    if (since_line.seconds() < 10) continue;
    since_line.lap();
    log.info("data: tokenised {:.1f} MB so far, now {}",
             1e-6 * static_cast<double>(corpus.counts().bytes), file);
  }
  corpus.finish();
  if (corpus.documents() == 0) {
    throw Error(ErrorKind::kData,
                format("no text in {}{}", files.front(),
                       files.size() > 1 ? format(" and {} more files", files.size() - 1) : ""),
                "every document is empty: check the files and data format");
  }
  corpus.publish();
  log_left_out(corpus.counts(), log);
  log.info("data: {} of {}, {}, {:.1f} MB -> {} token ids in {:.1f} s",
           counted(files.size(), "file", "files"), format_name,
           counted(corpus.documents(), "document", "documents"),
           1e-6 * static_cast<double>(corpus.counts().bytes), corpus.ids(), watch.seconds());
  return corpus.counts().bad_lines;
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
                format("data source '{}' matches {} files, a token file must be alone", source.path,
                       files.size()),
                "list each token file as a source of its own");
  }
  const auto tokens = TokenFile::open(files[0], source.path);
  MOESAIC_CHECK(tokens->verify(), ErrorKind::kData,
                "token file {} is damaged: the digest of its content is another", files[0]);
  return {{.path = files[0], .of_text = false}, tokens->digest(), {}};
}

}  // namespace

BuiltSource build_token_file(const SourceOptions& source, const Tokenizer& tokenizer,
                             const std::string& cache, const Log& log, const EncodeOptions& options,
                             const std::function<void()>& alive) {
  const DataFiles data = find_data(source, log);
  for (const std::string& warning : data.warnings) log.warn("data: {}", warning);
  if (data.format == DataFormat::kTokenFile) return checked_token_file(data.files, source);
  DocumentEncoder encoder(data.format, options);
  make_folder(cache);
  const FolderLock lock(cache, log, alive);
  BuiltSource built{.file = {.of_text = is_of_text(data.format)}};
  std::vector<std::string> digests;
  for (const auto& file : data.files) {
    digests.push_back(built.inputs[file] = digest_of_content(file, alive));
  }
  built.file.path = format("{}/{}.tokens", cache, cache_key(digests, encoder, tokenizer));
  if (usable(built.file.path, log)) {
    log.info("data: {} as tokenised before, in {}", source.path, built.file.path);
  } else {
    built.bad_lines = write_corpus(built.file.path, data.files, std::move(encoder), tokenizer, log,
                                   /*threads=*/0, alive);
  }
  built.digest = TokenFile::open(built.file.path)->digest();
  return built;
}

Json build_output(const BuildOptions& options, const Log& log) {
  const auto tokenizer = make_tokenizer(options.encode.tokenizer);
  MOESAIC_CHECK(options.output.ends_with(".tokens"), ErrorKind::kUsage,
                "--output is '{}', its name must end in .tokens", options.output);
  std::vector<std::string> files;
  for (const auto& input : options.inputs) {
    for (const auto& file : expand_files(input, log)) files.push_back(file);
  }
  MOESAIC_CHECK(!files.empty(), ErrorKind::kUsage, "no input files");
  const DataFiles data = with_format(std::move(files), options.format);
  for (const std::string& warning : data.warnings) log.warn("data: {}", warning);
  MOESAIC_CHECK(data.format != DataFormat::kTokenFile, ErrorKind::kData, "{} is tokenised already",
                data.files.front());
  for (const std::string& file : data.files) refuse_same_file(file, options.output);
  write_corpus(options.output, data.files, DocumentEncoder(data.format, options.encode), *tokenizer,
               log, options.threads, /*alive=*/{});
  return inspect_token_file(options.output, is_of_text(data.format) ? tokenizer.get() : nullptr);
}

}  // namespace moesaic
