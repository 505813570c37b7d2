#include "engine/not_finite.h"

#include "core/error.h"

namespace moesaic {
namespace {

class Stop : public NotFinitePolicy {
 public:
  void meet(const Step& step, const std::string& values) override {
    throw Error(ErrorKind::kRecipe,
                format("step {}: not finite:{}; stopped before the optimizer, nothing was saved",
                       step.number, values),
                "lower optimizer.learning_rate, lengthen schedule.warmup_steps or set "
                "train.clip_norm, then go on from "
                "the last checkpoint with --resume auto");
  }
};

}  // namespace

std::unique_ptr<NotFinitePolicy> stop_when_not_finite() { return std::make_unique<Stop>(); }

}  // namespace moesaic
