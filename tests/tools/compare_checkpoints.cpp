// compare_checkpoints A B: largest difference of the weights of two checkpoints (or run folders),
// relative to the largest weight of its tensor; printed as one number.
#include <cstdio>

#include "core/json.h"
#include "models/transformer.h"
#include "store/checkpoint.h"

namespace {

using namespace moesaic;

struct Loaded {
  explicit Loaded(const std::string& path, const RankContext& context) {
    const CheckpointInfo info = CheckpointStore::open(context, path);
    const auto arch = arch::require_options(read_json(info.path + "/config.json"), info.path);
    const bool wide = info.manifest.dump().find("float64") != std::string::npos;
    model = std::make_unique<Transformer>(
        Transformer::Options{arch, 0, wide ? at::kDouble : at::kFloat}, context);
    CheckpointContent content;
    content.model = state_of(model->parameters());
    CheckpointStore::load(context, info, content);
  }
  std::unique_ptr<Transformer> model;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  try {
    const RankContext context = RankContext::single();
    const Loaded a(argv[1], context), b(argv[2], context);
    double largest = 0;
    for (const Parameter& p : a.model->parameters()) {
      const at::Tensor x = p.tensor.to(at::kDouble);
      const at::Tensor y = b.model->parameters().find(p.name)->tensor.to(at::kDouble);
      largest =
          std::max(largest, x.sub(y).abs().max().item<double>() / x.abs().max().item<double>());
    }
    std::printf("%.3e\n", largest);
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
