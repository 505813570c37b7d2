// mpirun -n N checkpoint_speed FOLDER MIB [TURNS]: MIB mebibytes of float32, nine tenths of it
// experts split over all ranks, are written in every way (tools/checkpoint_ways/ways.h) and by
// CheckpointStore::save, in turn; then opened and loaded. Prints the medians over the turns (3) in
// MB/s, with the disk's time (fsync) included; then how long a training is kept by a saver that
// waits and by one that does not, whose next step computes for at least two seconds before it
// changes the state. FOLDER is emptied.
#include <ATen/ops/rand.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <map>
#include <string>

#include "comm/mpi/mpi_world.h"
#include "core/clock.h"
#include "engine/async_saver.h"
#include "store/checkpoint.h"
#include "tools/checkpoint_ways/ways.h"

namespace {

using namespace moesaic;

CheckpointContent content_of(const RankContext& context, std::int64_t mebibytes) {
  const std::int64_t experts = 64 / context.plan.world * context.plan.world;
  const std::int64_t layers =
      std::max<std::int64_t>(1, mebibytes / 64);  // 57.6 MiB of experts, 6.4 MiB dense
  const std::int64_t local = experts / context.plan.world;
  CheckpointContent content;
  for (std::int64_t layer = 0; layer < layers; ++layer) {
    content.model.push_back({.name = format("layers.{}.experts.weight", layer),
                             .tensor = at::rand({local, 461, 512}),
                             .global_shape = {experts, 461, 512},
                             .offset = context.rank() * local,
                             .scope = Scope::kExpert});
    content.model.push_back({.name = format("layers.{}.dense.weight", layer),
                             .tensor = at::rand({3277, 512}),
                             .global_shape = {3277, 512}});
  }
  return content;
}

double megabytes(const StateDict& state) {
  double values = 0;
  for (const StateEntry& entry : state) {
    double count = 1;
    for (const std::int64_t size : entry.global_shape) count *= static_cast<double>(size);
    values += count;
  }
  return values * 4 / 1e6;
}

class Measurement {
 public:
  Measurement(const RankContext& context, std::string folder, std::int64_t mebibytes)
      : context_(context), folder_(std::move(folder)), content_(content_of(context, mebibytes)) {}

  void run(int turns) {
    using namespace bench;
    const std::vector<std::pair<std::string, Way>> ways = {
        {"raw", write_raw},
        {"one writer", one_writer},
        {"one writer, direct chunks", one_writer_direct},
        {"collective", collective},
        {"a file a rank, direct chunks", file_per_rank_direct}};
    for (const auto& [name, way] : ways) order_.push_back(name);
    for (const char* name : {"save", "open", "load", "raw again"}) order_.emplace_back(name);
    write_with(ways[0].second, nullptr);  // the first write to fresh blocks of a disk can be slow
    for (int turn = 1; turn <= turns; ++turn) {
      for (const auto& [name, way] : ways) write_with(way, &seconds_[name]);
      save(turn);
      write_with(ways[0].second, &seconds_["raw again"]);
    }
    for (int turn = 1; turn <= turns; ++turn) {
      keep(*make_sync_saver(context_, store()), "sync");
      AsyncSaver async(context_,
                       [store = store()](const auto& own, auto step, const auto& content) {
                         store.save(own, step, content);
                       });
      keep(async, "async");
      keep(async, "async, again");  // its copy has memory already
    }
    if (context_.is_chief()) print();
  }

 private:
  void clear() {
    context_.world.barrier("done");
    if (context_.is_chief()) {
      std::filesystem::remove_all(folder_);
      std::filesystem::create_directories(folder_);
      ::sync();
    }
    context_.world.barrier("cleared");
  }

  void time(std::vector<double>* seconds, const std::function<void()>& work) {
    context_.world.barrier("start");
    const Stopwatch watch;
    work();
    context_.world.barrier("end");
    if (seconds != nullptr) seconds->push_back(watch.seconds());
  }

  void write_with(bench::Way way, std::vector<double>* seconds) {
    clear();
    time(seconds, [&] { way(context_, folder_ + "/way.h5", content_.model); });
  }

  void save(int turn) {
    clear();
    time(&seconds_["save"], [&] { store().save(context_, turn, content_); });
    std::optional<CheckpointInfo> info;
    time(&seconds_["open"], [&] { info = store().newest(context_); });
    time(&seconds_["load"], [&] { CheckpointStore::load(context_, *info, content_); });
  }

  CheckpointStore store() const { return CheckpointStore({.folder = folder_, .keep = 1}); }

  void keep(CheckpointSaver& saver, const std::string& name) {
    constexpr double kStepSeconds = 2;
    clear();
    const double before = saver.wait_seconds();
    saver.save(1, content_);
    const double in_save = saver.wait_seconds() - before;
    const Stopwatch step;
    while (step.seconds() < kStepSeconds) content_.model[0].tensor.sum();
    saver.before_change();
    kept_[name + ": in save()"].push_back(in_save);
    kept_[name + ": until the state may change"].push_back(saver.wait_seconds() - before);
    saver.finish();
  }

  void print() {
    const double size = megabytes(content_.model);
    std::printf("%d ranks, %.0f MB, MB/s: median [slowest..fastest]\n", context_.plan.world, size);
    for (const std::string& name : order_) {
      std::vector<double> all = seconds_[name];
      std::sort(all.begin(), all.end());
      std::printf("%-30s %6.0f [%.0f..%.0f]\n", name.c_str(), size / all[all.size() / 2],
                  size / all.back(), size / all.front());
    }
    std::printf("the training waits, s: median [fastest..slowest]\n");
    for (auto& [name, all] : kept_) {
      std::sort(all.begin(), all.end());
      std::printf("%-45s %8.4f [%.4f..%.4f]\n", name.c_str(), all[all.size() / 2], all.front(),
                  all.back());
    }
  }

  const RankContext& context_;
  std::string folder_;
  CheckpointContent content_;
  std::vector<std::string> order_;
  std::map<std::string, std::vector<double>> seconds_;
  std::map<std::string, std::vector<double>> kept_;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3 || argc > 4) return 2;
  const MpiSession mpi(MpiThreads::kAtTheSameTime);
  try {
    const RankContext context =
        RankContext::make(mpi.world({}, {}), {.world = mpi.size(), .expert = mpi.size()}, Log());
    Measurement(context, argv[1], std::atoll(argv[2])).run(argc == 4 ? std::atoi(argv[3]) : 3);
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "error: %s\n", error.what());
    mpi.abort(1);
  }
}
