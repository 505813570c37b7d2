// ImageUnits: units of privacy that are an image with its label each.
#pragma once

#include <vector>

#include "data/images.h"
#include "data/units.h"

namespace moesaic {

class ImageUnits : public Units {
 public:
  explicit ImageUnits(Images images);

  std::int64_t size() const override { return firsts_.back(); }
  std::int64_t in_first(std::size_t sources) const override { return firsts_.at(sources); }
  std::int64_t sequences(std::int64_t /*unit*/) const override { return 1; }
  std::int64_t inputs(std::int64_t /*unit*/) const override { return 1; }
  std::string where(std::int64_t unit) const override;
  std::vector<std::uint64_t> names() const override;
  Batch batch(std::span<const Drawn> drawn) const override;

 private:
  Images::Row row_of(const Drawn& drawn) const;

  Images images_;
  std::vector<std::int64_t> firsts_;  // of each source, in units; and their number
};

}  // namespace moesaic
