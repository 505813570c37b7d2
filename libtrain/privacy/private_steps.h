// PrivateSteps: what a private run does around its steps: the bound and the noise of each, what may
// be shown of it, and what a checkpoint keeps.
#pragma once

#include <cstdint>
#include <exception>
#include <optional>
#include <vector>

#include "config/recipe.h"
#include "core/secret_key.h"
#include "data/task_steps.h"
#include "data/unit_stream.h"
#include "loss/step_part.h"
#include "privacy/adaptive_norm.h"
#include "privacy/clipping_sink.h"
#include "privacy/noise.h"
#include "privacy/private_ledger.h"
#include "privacy/step_cost.h"

namespace moesaic {

class PrivateSteps : public StepPart {
 public:
  /// What a step of each task costs.
  struct Tasks {
    TaskSteps steps;
    std::vector<StepCost> costs;
  };
  struct Options {
    PrivacyOptions privacy;
    double noise_multiplier = 0;  // of each step, gradient and count together
    /// Of nothing to charge: none.
    std::optional<PrivateLedger::Options> ledger = {};
    std::optional<Tasks> tasks = {};  // of a run with tasks: in place of the ledger's charge
  };

  /// `sink` must outlive it, and `units`, which are drawn anew after a restore. Collective over
  /// world.
  PrivateSteps(const Options& options, const Communicator& world, ClippingSink& sink,
               std::vector<UnitStream*> units = {});

  /// Charges the step. The first one of a task has noise of its own alone. Collective over world.
  std::exception_ptr admit(const RankContext& context, std::int64_t number) override;
  void before(const Step& step) override;
  void before_forward(ForwardContext& context) override;
  /// Moves the bound of adaptive clipping. Collective over world.
  void gradient_done(const RankContext& context, const Step& step) override;
  /// Collective over world.
  void finished(const RankContext& context, const Step& step) override;
  /// Takes what is not private out of the row, unless log_loss says otherwise.
  void report(MetricsRow& row) const override;
  /// "privacy/clip_norm", of the next step.
  StateDict state() const override;
  /// "privacy": {"clip_norm", "ledger": digest of its last line; "NOT PRIVATE" with noise_seed}
  void add_notes(Json& training) const override;
  /// The noise is drawn from a new key: none is used twice. Error(kCheckpoint) for a ledger that
  /// does not go on from the checkpoint's. Collective over world.
  void restore(const RankContext& context, const Json& training, const LiveState& live) override;

  /// The noise of the step under way.
  PrivateNoise::Draw draw(const Step& step) const;

 private:
  void renew_key(const Communicator& world);
  void begin_task_of(std::int64_t step);
  bool can_be_foretold() const { return options_.privacy.noise_seed.has_value(); }

  Options options_;
  ClippingSink& sink_;
  std::vector<UnitStream*> units_;
  std::optional<PrivateLedger> ledger_;
  std::optional<AdaptiveNorm> adaptive_;
  std::optional<SecretKey> key_;
  at::Tensor clip_norm_;             // float64 [1], of the next step
  double used_norm_ = 0;             // of the step under way
  double epsilon_ = 0;               // after the last logged step
  std::optional<std::size_t> task_;  // of the last step
  std::uint64_t sequence_ = 0;       // of steps whose noise goes together
};

}  // namespace moesaic
