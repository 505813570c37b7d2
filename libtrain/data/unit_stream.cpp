#include "data/unit_stream.h"

#include <cmath>
#include <utility>

#include "core/error.h"
#include "data/batch_builder.h"

namespace moesaic {

UnitStream::UnitStream(std::vector<Sequences> sources, UnitList units, UnitDraws draws,
                       const Options& options)
    : sources_(std::move(sources)),
      units_(std::move(units)),
      draws_(std::move(draws)),
      options_(options) {
  MOESAIC_ASSERT(draws_.options().units == units_.size());
  require_room();
}

std::int64_t UnitStream::room() const {
  return options_.micro_batch_size * (options_.best_fit ? options_.sequence_length : 1);
}

std::int64_t UnitStream::size_of_unit(std::int64_t unit) const {
  const auto sequences = units_.sequences(unit);
  if (!options_.best_fit) return std::ssize(sequences);
  std::int64_t inputs = 0;
  for (const SequencePlace& place : sequences) inputs += sources_[place.source].inputs(place.index);
  return inputs;
}

void UnitStream::require_room() const {
  std::int64_t largest = 0, unit = 0;
  for (std::int64_t i = 0; i < units_.size(); ++i) {
    const std::int64_t size = size_of_unit(i);
    if (size > largest) {
      largest = size;
      unit = i;
    }
  }
  if (largest <= room()) return;
  const SequencePlace place = units_.sequences(unit).front();
  const std::int64_t each = options_.best_fit ? options_.sequence_length : 1;
  throw Error(ErrorKind::kRecipe,
              format("train.micro_batch_size is {}, which has room for {} {}; the largest {}, with "
                     "sequence {} of {}, has {}, and a unit must be whole in one micro-batch to be "
                     "clipped",
                     options_.micro_batch_size, room(), options_.best_fit ? "inputs" : "sequences",
                     options_.unit, place.index + 1, sources_[place.source].name(), largest),
              format("set train.micro_batch_size to {} or more, or leave out a part of its data",
                     (largest + each - 1) / each));
}

const UnitStream::DrawnStep& UnitStream::drawn(std::int64_t step) const {
  if (drawn_.step == step) return drawn_;
  DrawnStep fresh{.step = step, .units = draws_.of_step(step), .firsts = {}};
  std::int64_t left = 0;
  for (std::size_t i = 0; i < fresh.units.size(); ++i) {
    const std::int64_t size = size_of_unit(fresh.units[i]);
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

// Dropout and jitter of a unit depend on it alone: were they keyed by its number in the step, one
// unit more would change the gradients of all after it.
std::uint32_t UnitStream::draws_of_unit(std::int64_t unit) const {
  return static_cast<std::uint32_t>(units_.fingerprint(unit, sources_) >> 32);
}

Batch UnitStream::micro_batch(std::int64_t step, std::int64_t index) const {
  const DrawnStep& now = drawn(step);
  MOESAIC_ASSERT(index >= 0 && index + 1 < std::ssize(now.firsts));
  BatchBuilder batch;
  for (std::size_t i = now.firsts[static_cast<std::size_t>(index)];
       i < now.firsts[static_cast<std::size_t>(index) + 1]; ++i) {
    BatchBuilder::Document document;
    document.example = static_cast<std::int64_t>(i);
    document.draws = draws_of_unit(now.units[i]);
    for (const SequencePlace& place : units_.sequences(now.units[i]))
      sources_[place.source].add_to(batch, place.index, document);
  }
  return batch.build();
}

void UnitStream::renew(const SecretKey& key) {
  draws_.renew(key);
  drawn_ = {};
}

}  // namespace moesaic
