#include "data/image_units.h"

#include <algorithm>
#include <unordered_map>
#include <utility>

#include "core/format.h"
#include "core/random.h"

namespace moesaic {

ImageUnits::ImageUnits(Images images) : images_(std::move(images)) {
  std::unordered_map<const std::uint8_t*, std::size_t> unit_of;  // by where its pixels lie
  const std::vector<std::int64_t> sizes = images_.sizes();
  for (std::size_t source = 0; source < sizes.size(); ++source) {
    for (std::int64_t image = 0; image < sizes[source]; ++image) {
      const Images::Place place{source, image};
      const auto [known, is_new] = unit_of.emplace(images_.pixels(place), rows_.size());
      if (is_new) rows_.emplace_back();
      Rows& own = rows_[known->second];
      const bool there = std::any_of(own.begin(), own.end(), [&](const Images::Place& row) {
        return images_.are_same(row, place);
      });
      if (!there) own.push_back(place);
    }
  }
}

std::int64_t ImageUnits::in_first(std::size_t sources) const {
  std::int64_t units = 0;
  while (units < size() && rows(units).front().source < sources) ++units;
  return units;
}

std::string ImageUnits::where(std::int64_t unit) const {
  const Images::Place place = rows(unit).front();
  return format("image {} of source {}", place.image + 1, place.source + 1);
}

std::uint64_t ImageUnits::fingerprint(std::int64_t unit) const {
  std::string all;
  for (const Images::Place& row : rows(unit)) all += format("{} ", images_.fingerprint(row));
  return hash_name(all);
}

std::vector<std::uint64_t> ImageUnits::names() const {
  std::vector<std::uint64_t> fingerprints;
  for (std::int64_t unit = 0; unit < size(); ++unit) fingerprints.push_back(fingerprint(unit));
  return distinct_names(fingerprints);
}

Batch ImageUnits::batch(std::span<const Drawn> drawn) const {
  std::vector<Images::Row> all;
  for (const Drawn& one : drawn) {
    auto draws = static_cast<std::uint32_t>(fingerprint(one.unit) >> 32);
    for (const Images::Place& place : rows(one.unit))
      all.push_back({place.source, place.image, one.example, draws++});
  }
  return images_.batch(all);
}

}  // namespace moesaic
