#include "data/sequence_units.h"

#include "core/format.h"
#include "data/batch_builder.h"

namespace moesaic {

std::int64_t SequenceUnits::in_first(std::size_t sources) const {
  std::int64_t units = 0;
  while (units < size() && list_.sequences(units).front().source < sources) ++units;
  return units;
}

std::int64_t SequenceUnits::inputs(std::int64_t unit) const {
  std::int64_t inputs = 0;
  for (const SequencePlace& place : list_.sequences(unit))
    inputs += sources_[place.source].inputs(place.index);
  return inputs;
}

std::string SequenceUnits::where(std::int64_t unit) const {
  const SequencePlace place = list_.sequences(unit).front();
  return format("sequence {} of {}", place.index + 1, sources_[place.source].name());
}

// Dropout and jitter of a unit depend on it alone: were they keyed by its number in the step, one
// unit more would change the gradients of all after it.
Batch SequenceUnits::batch(std::span<const Drawn> drawn) const {
  BatchBuilder batch;
  for (const Drawn& one : drawn) {
    BatchBuilder::Document document;
    document.example = one.example;
    document.draws = static_cast<std::uint32_t>(list_.fingerprint(one.unit, sources_) >> 32);
    for (const SequencePlace& place : list_.sequences(one.unit))
      sources_[place.source].add_to(batch, place.index, document);
  }
  return batch.build();
}

}  // namespace moesaic
