// mpirun -n N checkpoint_speed FOLDER MIB: saves, opens and loads a checkpoint of MIB mebibytes of
// float32, nine tenths of it experts split over all ranks, three times; prints the fastest of each
// in MB/s. FOLDER is emptied of step folders.
#include <ATen/ops/rand.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>

#include "comm/mpi/mpi_world.h"
#include "core/clock.h"
#include "store/checkpoint.h"

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

void measure(const RankContext& context, const std::string& folder, std::int64_t mebibytes) {
  const CheckpointStore store({.folder = folder, .keep = 1});
  CheckpointContent content = content_of(context, mebibytes);
  double save = 1e9, open = 1e9, load = 1e9, bytes = 0;
  for (std::int64_t step = 1; step <= 3; ++step) {
    context.world.barrier("start");
    Stopwatch watch;
    store.save(context, step, content);
    save = std::min(save, watch.lap());
    const CheckpointInfo info = *store.newest(context);
    open = std::min(open, watch.lap());
    CheckpointStore::load(context, info, content);
    load = std::min(load, watch.lap());
    bytes = info.manifest["files"]["model.h5"]["size"].get<double>();
  }
  if (!context.is_chief()) return;
  std::printf("%d ranks, %.0f MB: save %.0f MB/s (with fsync), open %.0f MB/s, load %.0f MB/s\n",
              context.plan.world, bytes / 1e6, bytes / 1e6 / save, bytes / 1e6 / open,
              bytes / 1e6 / load);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  const MpiSession mpi;
  try {
    const RankContext context =
        RankContext::make(mpi.world({}, {}), {.world = mpi.size(), .expert = mpi.size()}, Log());
    measure(context, argv[1], std::atoll(argv[2]));
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "error: %s\n", error.what());
    mpi.abort(1);
  }
}
