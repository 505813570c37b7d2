// compare_checkpoints A B: largest difference of the weights of two checkpoints (or run folders),
// relative to the largest weight of its tensor; printed as one number.
#include <cstdio>

#include "core/json.h"
#include "parallel/parameter_set.h"
#include "store/checkpoint.h"

namespace {

using namespace moesaic;

struct Loaded {
  Loaded(const std::string& path, const RankContext& context)
      : Loaded(CheckpointStore::open(context, path), context) {}

  ParameterSet parameters;

 private:
  Loaded(const CheckpointInfo& info, const RankContext& context) : parameters(make(info)) {
    CheckpointContent content;
    content.model = state_of(parameters);
    CheckpointStore::load(context, info, content);
  }
  static ParameterSet make(const CheckpointInfo& info) {
    const auto arch = arch::require_options(read_json(info.path + "/config.json"), info.path);
    const bool wide = info.manifest.dump().find("float64") != std::string::npos;
    return ParameterSet(arch::parameter_table(arch), {.dtype = wide ? at::kDouble : at::kFloat});
  }
};

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  try {
    const RankContext context = RankContext::single();
    const Loaded a(argv[1], context), b(argv[2], context);
    double largest = 0;
    for (const Parameter& p : a.parameters) {
      const at::Tensor x = p.tensor.to(at::kDouble);
      const at::Tensor y = b.parameters.find(p.name)->tensor.to(at::kDouble);
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
