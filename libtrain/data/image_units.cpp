#include "data/image_units.h"

#include <algorithm>
#include <utility>

#include "core/error.h"

namespace moesaic {

ImageUnits::ImageUnits(Images images) : images_(std::move(images)), firsts_{0} {
  for (const std::int64_t count : images_.sizes()) firsts_.push_back(firsts_.back() + count);
}

Images::Row ImageUnits::row_of(const Drawn& drawn) const {
  MOESAIC_ASSERT(drawn.unit >= 0 && drawn.unit < size());
  const auto next = std::upper_bound(firsts_.begin(), firsts_.end(), drawn.unit);
  Images::Row row{.source = static_cast<std::size_t>(next - firsts_.begin() - 1),
                  .image = drawn.unit - next[-1],
                  .example = drawn.example};
  row.draws = static_cast<std::uint32_t>(images_.fingerprint(row) >> 32);
  return row;
}

std::string ImageUnits::where(std::int64_t unit) const {
  const Images::Row row = row_of({.unit = unit});
  return format("image {} of source {}", row.image + 1, row.source + 1);
}

std::vector<std::uint64_t> ImageUnits::names() const {
  std::vector<std::uint64_t> fingerprints;
  for (std::int64_t unit = 0; unit < size(); ++unit)
    fingerprints.push_back(images_.fingerprint(row_of({.unit = unit})));
  return distinct_names(fingerprints);
}

Batch ImageUnits::batch(std::span<const Drawn> drawn) const {
  std::vector<Images::Row> rows;
  for (const Drawn& one : drawn) rows.push_back(row_of(one));
  return images_.batch(rows);
}

}  // namespace moesaic
