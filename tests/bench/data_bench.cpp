// Tokenising and assembling: BM_BuildTokenFile reports bytes per second of the source, hashing of
// it included; BM_MicroBatch the time of one micro-batch of 4 sequences of 512 tokens.
#include <benchmark/benchmark.h>

#include <filesystem>
#include <fstream>

#include "data/corpus.h"
#include "data/token_file.h"
#include "data/token_stream.h"

namespace moesaic {
namespace {

namespace fs = std::filesystem;

Log silent() {
  Log::Options options;
  options.console = false;
  return Log(options);
}

struct Folder {
  std::string path = (fs::temp_directory_path() / "moesaic-data-bench").string();
  Folder() { fs::create_directories(path); }
  ~Folder() { fs::remove_all(path); }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;

  // 64 MB: lines of 4,000 characters or so.
  std::string corpus(const std::string& kind) const {
    std::string line;
    while (line.size() < 4000) line += "each line of this corpus is a document of its own, ";
    if (kind == "jsonl") line = "{\"text\": \"" + line + "\", \"id\": 7}";
    if (kind == "tokens") {
      line = "{\"ids\": [0";
      for (int i = 0; i < 800; ++i) line += ", " + std::to_string(i * 37 % 50000);
      line += "]}";
    }
    const std::string name = path + "/" + kind + ".jsonl";
    std::ofstream file(name);
    for (std::size_t bytes = 0; bytes < 64'000'000; bytes += line.size() + 1) file << line << '\n';
    return name;
  }
};

void BM_BuildTokenFile(benchmark::State& state, const std::string& kind) {
  const Folder folder;
  const SourceOptions source{.path = folder.corpus(kind), .format = kind};
  const auto tokenizer = byte_tokenizer();
  for (auto _ : state) {
    const std::string built =
        build_token_file(source, *tokenizer, folder.path + "/cache", silent()).file.path;
    state.PauseTiming();
    fs::remove(built);
    state.ResumeTiming();
  }
  state.SetBytesProcessed(state.iterations() *
                          static_cast<std::int64_t>(fs::file_size(source.path)));
}
BENCHMARK_CAPTURE(BM_BuildTokenFile, text, "text")->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK_CAPTURE(BM_BuildTokenFile, jsonl, "jsonl")->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK_CAPTURE(BM_BuildTokenFile, tokens, "tokens")
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime();

void BM_ReuseTokenFile(benchmark::State& state) {
  const Folder folder;
  const SourceOptions source{.path = folder.corpus("text"), .format = "text"};
  const auto tokenizer = byte_tokenizer();
  const std::string cache = folder.path + "/cache";
  build_token_file(source, *tokenizer, cache, silent());
  for (auto _ : state) {
    benchmark::DoNotOptimize(build_token_file(source, *tokenizer, cache, silent()));
  }
  state.SetBytesProcessed(state.iterations() *
                          static_cast<std::int64_t>(fs::file_size(source.path)));
}
BENCHMARK(BM_ReuseTokenFile)->Unit(benchmark::kMillisecond)->UseRealTime();

void BM_MicroBatch(benchmark::State& state) {
  const Folder folder;
  const SourceOptions source{.path = folder.corpus("text"), .format = "text"};
  const auto path =
      build_token_file(source, *byte_tokenizer(), folder.path + "/cache", silent()).file.path;
  const auto sequences = Sequences::packed(TokenFile::open(path), 512);
  const std::vector<double> weights(static_cast<std::size_t>(state.range(0)), 1.0);
  const TokenStream stream(std::vector<Sequences>(weights.size(), sequences), weights,
                           {.seed = 1, .global_batch_size = 32, .micro_batch_size = 4});
  std::int64_t step = 0;
  for (auto _ : state) benchmark::DoNotOptimize(stream.micro_batch(step++, 0));
  state.SetItemsProcessed(state.iterations() * 4 * 512);
}
BENCHMARK(BM_MicroBatch)->ArgName("sources")->Arg(1)->Arg(3)->Unit(benchmark::kMicrosecond);

void BM_StepSize(benchmark::State& state) {
  const Folder folder;
  const SourceOptions source{.path = folder.corpus("text"), .format = "text"};
  const auto path =
      build_token_file(source, *byte_tokenizer(), folder.path + "/cache", silent()).file.path;
  const TokenStream stream({Sequences::packed(TokenFile::open(path), 512)}, {1.0},
                           {.seed = 1, .global_batch_size = 32, .micro_batch_size = 4});
  std::int64_t step = 0;
  for (auto _ : state) benchmark::DoNotOptimize(stream.size(step++));
}
BENCHMARK(BM_StepSize)->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace moesaic
