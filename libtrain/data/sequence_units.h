// SequenceUnits: units of privacy that are made of training sequences.
#pragma once

#include <vector>

#include "data/unit_list.h"
#include "data/units.h"

namespace moesaic {

class SequenceUnits : public Units {
 public:
  /// `list`: of these sources.
  SequenceUnits(std::vector<Sequences> sources, UnitList list)
      : sources_(std::move(sources)), list_(std::move(list)) {}

  std::int64_t size() const override { return list_.size(); }
  std::int64_t in_first(std::size_t sources) const override;
  std::int64_t sequences(std::int64_t unit) const override {
    return std::ssize(list_.sequences(unit));
  }
  std::int64_t inputs(std::int64_t unit) const override;
  std::string where(std::int64_t unit) const override;
  std::vector<std::uint64_t> names() const override {
    return list_.distinct_fingerprints(sources_);
  }
  Batch batch(std::span<const Drawn> drawn) const override;

 private:
  std::vector<Sequences> sources_;
  UnitList list_;
};

}  // namespace moesaic
