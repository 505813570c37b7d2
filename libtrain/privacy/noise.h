// PrivateNoise: the noise of a step, added to the sum of clipped gradients: the Gaussian mechanism
// of DP-SGD (Abadi et al. 2016, arXiv 1607.00133, algorithm 1).
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "core/secret_key.h"
#include "optim/gradient_transform.h"

namespace moesaic {

/// Adds to each value of the gradient its own part of one vector of noise, which is a function of
/// (key, draw, parameter, place in the whole parameter): so it is added once to each logical value,
/// replicas get the same bits, an expert's or a spread row's owner adds what is theirs, and the
/// layout changes nothing. A draw of a key is used once.
///
/// Each value is the sum of four Gaussians of half the deviation: the bits of one that is sampled
/// in floating point can tell what it was added to (Mironov 2012; Holohan and Braghin 2021, arXiv
/// 2107.10138, section 4.3). They are summed in float64 and rounded once, with the gradient.
///
/// With several coefficients c the noise y of the steps solves C y = z, C being the Toeplitz matrix
/// of c and z independent: y_t = z_t - sum_(j > 0) c_j y_(t - j), so that later steps take back in
/// part what earlier ones got (banded matrix factorisation, Choquette-Choo et al. 2023, arXiv
/// 2306.08153). It remembers the noise of as many steps as there are coefficients, less one, in
/// memory alone: a checkpoint with it would undo the noise.
class PrivateNoise : public GradientTransform {
 public:
  /// What a step's noise is drawn from; the deviation is that of what the gradient holds.
  struct Draw {
    const SecretKey& key;
    std::uint64_t number = 0;
    std::uint64_t sequence = 0;  // another one: earlier noise has no part in what follows
    double deviation = 0;
  };
  using NextDraw = std::function<Draw(const Step& step)>;

  /// `next` is asked once in each step; what it refers to lives until the next one.
  explicit PrivateNoise(NextDraw next, std::vector<double> coefficients = {1.0})
      : next_(std::move(next)), coefficients_(std::move(coefficients)) {}

  std::string name() const override { return "noise"; }
  /// Local.
  void apply(const RankContext& context, const Step& step, Gradients& gradients,
             MetricsRow& report) override;

 private:
  /// `own`: z of the entry -> y, which is remembered.
  void take_back(std::size_t entry, at::Tensor own);

  NextDraw next_;
  std::vector<double> coefficients_;  // the first is 1
  std::uint64_t sequence_ = 0;
  std::vector<std::deque<at::Tensor>> earlier_;  // of each entry: y, the newest first
};

}  // namespace moesaic
