// A sum of the silos' changes that hides what one silo does (client-level differential privacy,
// McMahan et al., arXiv 1710.06963): each whole change counts with clip_norm at most, the sum gets
// Gaussian noise, and it is divided by a number that everybody knows. Bound and noise are added by
// whoever adds up, or by the silos, each a share of the noise. Torch-free.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "aggregate/options.h"
#include "core/secret_key.h"

namespace moesaic::aggregate {

struct PrivateSum {
  double clip_norm = 1.0;
  double noise_multiplier = 1.0;  // standard deviation of the noise of the sum over clip_norm
  /// Silos that a round asks. Never those that answered: their number is no secret that is kept.
  std::size_t silos = 1;
  bool in_silos = false;  // changes come with bound and noise: they are added up as they are

  double deviation() const { return noise_multiplier * clip_norm; }
  /// That of a silo's share: those of all silos of a round together have deviation().
  double share() const { return deviation() / std::sqrt(static_cast<double>(silos)); }
  /// noise_multiplier of the sum of so many answers: of shares that did not come the noise is
  /// missing.
  double multiplier_of(std::size_t answers) const {
    const double part = static_cast<double>(answers) / static_cast<double>(silos);
    return in_silos ? noise_multiplier * std::sqrt(part) : noise_multiplier;
  }
  /// What a change of this norm is multiplied by: at most 1, never 0 / 0.
  double factor(double norm) const { return norm > clip_norm ? clip_norm / norm : 1.0; }
};

/// One round's noise. A number of a key is used once.
struct SumNoise {
  SecretKey key;
  std::uint64_t number = 0;
};

/// Why one silo could move the mean of such a rule by more than clip_norm / silos; "" = it cannot.
std::string why_not_private(const AggregatorOptions& options);

/// Adds noise of this deviation to elements `first` ... of parameter `name`: a function of (noise,
/// name, element), however the blocks are cut. Each value is the sum of four Gaussians, so that its
/// bits do not tell what it was added to (arXiv 2107.10138, section 4.3).
void add_noise(const SumNoise& noise, double deviation, const std::string& name, std::size_t first,
               std::span<double> sum);

}  // namespace moesaic::aggregate
