#include "privacy/private_steps.h"

#include <ATen/ops/full.h>
#include <ATen/ops/tensor.h>

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

#include "accounting/mechanisms.h"
#include "core/random.h"
#include "privacy/shared_key.h"

namespace moesaic {
namespace {

// Values of a row that are made of the noised gradient, the clock and public numbers.
constexpr std::array<std::string_view, 6> kPublicValues = {
    "tokens", "learning_rate", "grad_norm", "clip_factor", "skipped", "clip_norm"};

bool is_public(const std::string& name) {
  return std::find(kPublicValues.begin(), kPublicValues.end(), name) != kPublicValues.end();
}

std::optional<AdaptiveNorm> adaptive_norm(const PrivacyOptions& privacy) {
  if (privacy.clipping != "adaptive") return std::nullopt;
  const AdaptiveClippingOptions& adaptive = privacy.adaptive;
  return AdaptiveNorm{.quantile = adaptive.quantile,
                      .rate = adaptive.rate,
                      .noise = adaptive.noise.value_or(privacy.expected_batch_size / 20),
                      .expected_batch_size = privacy.expected_batch_size};
}

}  // namespace

PrivateSteps::PrivateSteps(const Options& options, const Communicator& world, ClippingSink& sink,
                           std::vector<UnitStream*> units)
    : options_(options),
      sink_(sink),
      units_(std::move(units)),
      adaptive_(adaptive_norm(options.privacy)),
      clip_norm_(at::full({1}, options.privacy.clip_norm, at::kDouble)) {
  if (options.ledger) ledger_.emplace(*options.ledger);
  if (adaptive_ && options.noise_multiplier > 0)
    options_.noise_multiplier =
        accounting::gradient_noise_multiplier(options.noise_multiplier, adaptive_->noise);
  renew_key(world);
}

void PrivateSteps::renew_key(const Communicator& world) {
  key_.emplace(shared_key(world, options_.privacy.noise_seed));
}

// A unit may come at the end of a task and again where the next one begins: noise that steps of
// both had in common would be that of one of them alone.
void PrivateSteps::begin_task_of(std::int64_t step) {
  if (!options_.tasks) return;
  const std::size_t task = options_.tasks->steps.place(step - 1).task;
  if (task_ == task) return;
  task_ = task;
  ++sequence_;
  const StepCost& cost = options_.tasks->costs.at(task);
  if (ledger_) ledger_->set_charge(cost.charge, cost.steps);
}

std::exception_ptr PrivateSteps::admit(const RankContext& context, std::int64_t number) {
  begin_task_of(number);
  return ledger_ ? ledger_->charge(context.world) : nullptr;
}

void PrivateSteps::before(const Step& /*step*/) {
  used_norm_ = clip_norm_.item<double>();
  sink_.set_clip_norm(used_norm_);
}

void PrivateSteps::before_forward(ForwardContext& context) { sink_.expect(context.batch); }

void PrivateSteps::gradient_done(const RankContext& context, const Step& step) {
  if (!adaptive_) return;
  at::Tensor counts = at::tensor({sink_.units(), sink_.units_below()}, at::kLong);
  context.world.all_reduce(counts, ReduceOp::kSum, "privacy: units");
  const auto* count = counts.const_data_ptr<std::int64_t>();
  const RandomKey key(*key_, RandomStream::kNoise, draw(step).number, "units below clip_norm");
  clip_norm_.fill_(adaptive_->next(used_norm_, count[0], count[1], key.normal(0)));
}

PrivateNoise::Draw PrivateSteps::draw(const Step& step) const {
  const double norm = used_norm_ > 0 ? used_norm_ : 1;
  return {.key = *key_,
          .number = static_cast<std::uint64_t>(step.number),
          .sequence = sequence_,
          .deviation = options_.noise_multiplier * norm / options_.privacy.expected_batch_size};
}

void PrivateSteps::finished(const RankContext& context, const Step& step) {
  if (ledger_ && step.logged) epsilon_ = ledger_->epsilon(context.world);
}

void PrivateSteps::report(MetricsRow& row) const {
  if (!options_.privacy.log_loss) {
    std::erase_if(row.values, [](const auto& value) { return !is_public(value.first); });
    row.vectors.clear();
  }
  if (adaptive_) row.set("clip_norm", used_norm_);
  if (ledger_) row.set("epsilon", epsilon_);
  if (can_be_foretold()) row.set("not_private", 1);
}

StateDict PrivateSteps::state() const {
  return {{.name = "privacy/clip_norm", .tensor = clip_norm_, .global_shape = {1}, .exact = true}};
}

void PrivateSteps::add_notes(Json& training) const {
  training["privacy"]["clip_norm"] = clip_norm_.item<double>();
  if (ledger_) training["privacy"]["ledger"] = ledger_->head();
  if (can_be_foretold()) training["privacy"]["NOT PRIVATE"] = "noise_seed";
}

void PrivateSteps::restore(const RankContext& context, const Json& training,
                           const LiveState& /*live*/) {
  const Json notes = training.value("privacy", Json::object());
  renew_key(context.world);
  for (UnitStream* units : units_)
    units->renew(shared_key(context.world, options_.privacy.noise_seed));
  ++sequence_;
  if (ledger_) ledger_->open(context.world, notes.value("ledger", ""));
}

}  // namespace moesaic
