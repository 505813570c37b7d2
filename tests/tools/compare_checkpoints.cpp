// compare_checkpoints A B: largest difference of what two checkpoints (or run folders) hold, of a
// run with adapters the factors, relative to the largest value of its tensor; printed as one
// number.
#include <algorithm>
#include <cstdio>
#include <limits>

#include "core/error.h"
#include "store/checkpoint_rows.h"
#include "store/manifest.h"

namespace {

using namespace moesaic;

struct Held {
  explicit Held(const std::string& path)
      : Held(CheckpointStore::open(RankContext::single(), path)) {}
  explicit Held(const CheckpointInfo& info)
      : names(Hdf5File::open(info.path + "/" + kModelFile).dataset_names()), rows(info) {
    std::sort(names.begin(), names.end());
  }
  at::Tensor values(const std::string& name) const {
    return rows.rows(name, 0, rows.shape(name).at(0)).to(at::kDouble);
  }

  std::vector<std::string> names;
  CheckpointRows rows;
};

double relative_difference(const at::Tensor& x, const at::Tensor& y) {
  const double difference = x.sub(y).abs().max().item<double>();
  const double largest = x.abs().max().item<double>();
  if (difference == 0) return 0;
  return largest > 0 ? difference / largest : std::numeric_limits<double>::infinity();
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  try {
    const Held a(argv[1]), b(argv[2]);
    MOESAIC_CHECK(a.names == b.names, ErrorKind::kCheckpoint, "{} and {} hold other tensors",
                  argv[1], argv[2]);
    double largest = 0;
    for (const std::string& name : a.names)
      largest = std::max(largest, relative_difference(a.values(name), b.values(name)));
    std::printf("%.3e\n", largest);
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
