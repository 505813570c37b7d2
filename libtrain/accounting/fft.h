// Fourier transform of real numbers, by KISS FFT.
#pragma once

#include <complex>
#include <cstddef>
#include <span>
#include <vector>

namespace moesaic::accounting {

/// Number k of a Spectrum of n real numbers is their discrete Fourier transform at k, for
/// 0 < k < n / 2; the first holds that at 0 (real part) and at n / 2 (imaginary part).
using Spectrum = std::vector<std::complex<double>>;

/// The size is a power of two, at least 4.
Spectrum fourier_transform(std::span<const double> values);

/// The real numbers of a spectrum.
std::vector<double> inverse_fourier_transform(Spectrum spectrum);

/// factor <- factor x base^power, number by number: the spectrum of a circular convolution with
/// `power` >= 0 times what has the spectrum `base`.
void multiply_by_power(Spectrum& factor, const Spectrum& base, long long power);

}  // namespace moesaic::accounting
