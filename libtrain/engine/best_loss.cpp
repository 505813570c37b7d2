#include "engine/best_loss.h"

#include <limits>

#include "core/error.h"

namespace moesaic {

bool BestLoss::add(std::int64_t step, double loss) {
  if (!(loss < loss_.value_or(std::numeric_limits<double>::infinity()))) {
    ++since_;
    return false;
  }
  loss_ = loss;
  step_ = step;
  since_ = 0;
  return true;
}

std::optional<std::int64_t> BestLoss::step() const {
  return loss_ ? std::optional(step_) : std::nullopt;
}

Json BestLoss::note() const {
  if (!loss_ && since_ == 0) return nullptr;
  Json note = {{"step", step_}, {"evaluations_since", since_}};
  if (loss_) note["valid_loss"] = *loss_;
  return note;
}

void BestLoss::restore(const Json& note) {
  loss_.reset();
  step_ = since_ = 0;
  if (note.is_null()) return;
  try {
    step_ = note.at("step").get<std::int64_t>();
    since_ = note.at("evaluations_since").get<std::int64_t>();
    if (note.contains("valid_loss")) loss_ = note.at("valid_loss").get<double>();
  } catch (const Json::exception&) {
    throw Error(ErrorKind::kCheckpoint,
                "'best' in the manifest has no step, evaluations_since and valid_loss");
  }
}

}  // namespace moesaic
