// ImageUnits: units of privacy that are an image with its label each.
#pragma once

#include <utility>
#include <vector>

#include "data/images.h"
#include "data/units.h"

namespace moesaic {

/// An image of a file is one unit, however many of the sources have it: with other classes, in
/// another order of its pixels. What they make of it are its rows; the same row is there once.
class ImageUnits : public Units {
 public:
  explicit ImageUnits(Images images);

  std::int64_t size() const override { return std::ssize(rows_); }
  std::int64_t in_first(std::size_t sources) const override;
  std::int64_t sequences(std::int64_t unit) const override { return std::ssize(rows(unit)); }
  std::int64_t inputs(std::int64_t unit) const override { return sequences(unit); }
  std::string where(std::int64_t unit) const override;
  std::vector<std::uint64_t> names() const override;
  Batch batch(std::span<const Drawn> drawn) const override;

 private:
  using Rows = std::vector<Images::Place>;
  const Rows& rows(std::int64_t unit) const { return rows_.at(static_cast<std::size_t>(unit)); }
  std::uint64_t fingerprint(std::int64_t unit) const;

  Images images_;
  std::vector<Rows> rows_;  // of each unit, one at least
};

}  // namespace moesaic
