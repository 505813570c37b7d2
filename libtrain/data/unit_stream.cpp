#include "data/unit_stream.h"

#include <cmath>
#include <span>
#include <utility>

#include "core/error.h"

namespace moesaic {

UnitStream::UnitStream(std::unique_ptr<Units> units, UnitDraws draws, const Options& options)
    : units_(std::move(units)), draws_(std::move(draws)), options_(options) {
  MOESAIC_ASSERT(draws_.options().units == units_->size());
  require_room();
}

std::int64_t UnitStream::room() const {
  return options_.micro_batch_size * (options_.best_fit ? options_.sequence_length : 1);
}

std::int64_t UnitStream::size_of_unit(std::int64_t unit) const {
  return options_.best_fit ? units_->inputs(unit) : units_->sequences(unit);
}

void UnitStream::require_room() const {
  std::int64_t largest = 0, unit = 0;
  for (std::int64_t i = 0; i < units_->size(); ++i) {
    const std::int64_t size = size_of_unit(i);
    if (size > largest) {
      largest = size;
      unit = i;
    }
  }
  if (largest <= room()) return;
  const std::int64_t each = options_.best_fit ? options_.sequence_length : 1;
  throw Error(ErrorKind::kRecipe,
              format("train.micro_batch_size is {}, which has room for {} {}; the largest {}, with "
                     "{}, has {}, and a unit must be whole in one micro-batch to be clipped",
                     options_.micro_batch_size, room(), options_.best_fit ? "inputs" : "sequences",
                     options_.unit, units_->where(unit), largest),
              format("set train.micro_batch_size to {} or more, or leave out a part of its data",
                     (largest + each - 1) / each));
}

const UnitStream::DrawnStep& UnitStream::drawn(std::int64_t step) const {
  if (drawn_.step == step) return drawn_;
  DrawnStep fresh{.step = step, .units = {}, .firsts = {}};
  for (const std::int64_t unit : draws_.of_step(step))
    fresh.units.push_back({.unit = unit, .example = std::ssize(fresh.units)});
  std::int64_t left = 0;
  for (std::size_t i = 0; i < fresh.units.size(); ++i) {
    const std::int64_t size = size_of_unit(fresh.units[i].unit);
    if (i == 0 || size > left) {
      fresh.firsts.push_back(i);
      left = room();
    }
    left -= size;
  }
  fresh.firsts.push_back(fresh.units.size());
  drawn_ = std::move(fresh);
  return drawn_;
}

StepSize UnitStream::size(std::int64_t step) const {
  const double units = options_.expected_batch_size;
  const auto tokens = static_cast<std::int64_t>(
      std::llround(units * static_cast<double>(options_.sequence_length)));
  return {.target_tokens = tokens,
          .input_tokens = tokens,
          .micro_batches = std::ssize(drawn(step).firsts) - 1,
          .documents = std::llround(units)};
}

Batch UnitStream::micro_batch(std::int64_t step, std::int64_t index) const {
  const DrawnStep& now = drawn(step);
  MOESAIC_ASSERT(index >= 0 && index + 1 < std::ssize(now.firsts));
  const auto place = static_cast<std::size_t>(index);
  const std::size_t first = now.firsts[place], end = now.firsts[place + 1];
  return units_->batch(std::span(now.units).subspan(first, end - first));
}

void UnitStream::renew(const SecretKey& key) {
  draws_.renew(key);
  drawn_ = {};
}

}  // namespace moesaic
