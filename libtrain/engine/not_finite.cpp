#include "engine/not_finite.h"

#include <set>

#include "core/error.h"

namespace moesaic {
namespace {

[[noreturn]] void stop_before_optimizer(const Step& step, const std::string& what) {
  throw Error(ErrorKind::kRecipe,
              format("step {}: not finite{}; stopped before the optimizer, nothing was saved",
                     step.number, what),
              "lower optimizer.learning_rate, lengthen schedule.warmup_steps or set "
              "train.clip_norm, then go on from "
              "the last checkpoint with --resume auto");
}

// Ranks that go on must go on alike, also where a fault of one has made its numbers alone wrong.
std::string known_to_all(const Communicator& world, const std::string& values) {
  const double wrong = world.all_reduce(values.empty() ? 0.0 : 1.0, ReduceOp::kMax, "step.finite");
  return wrong > 0 && values.empty() ? " a value on another rank" : values;
}

class Stop : public NotFinitePolicy {
 public:
  AfterNotFinite meet(const Step& step, const std::string& values) override {
    stop_before_optimizer(step, ":" + values);
  }
};

class Skip : public NotFinitePolicy {
 public:
  explicit Skip(const Log& log) : log_(log) {}
  std::string agreed(const Communicator& world, const std::string& values) const override {
    return known_to_all(world, values);
  }
  AfterNotFinite meet(const Step& step, const std::string& values) override {
    log_.warn("step {}: not finite:{}; its update is skipped", step.number, values);
    return AfterNotFinite::kSkip;
  }

 private:
  Log log_;
};

class Rewind : public NotFinitePolicy {
 public:
  std::string agreed(const Communicator& world, const std::string& values) const override {
    return known_to_all(world, values);
  }
  AfterNotFinite meet(const Step& step, const std::string& values) override {
    if (!met_.insert(step.number).second)
      stop_before_optimizer(step, " for the second time, with other batches:" + values);
    return AfterNotFinite::kRewind;
  }

 private:
  std::set<std::int64_t> met_;  // numbers of steps
};

}  // namespace

std::unique_ptr<NotFinitePolicy> stop_when_not_finite() { return std::make_unique<Stop>(); }

std::unique_ptr<NotFinitePolicy> skip_when_not_finite(const Log& log) {
  return std::make_unique<Skip>(log);
}

std::unique_ptr<NotFinitePolicy> rewind_when_not_finite() { return std::make_unique<Rewind>(); }

std::unique_ptr<NotFinitePolicy> not_finite_policy(const std::string& name, const Log& log) {
  if (name == "skip") return skip_when_not_finite(log);
  return name == "rewind" ? rewind_when_not_finite() : stop_when_not_finite();
}

}  // namespace moesaic
