#include "accounting/fft.h"

#if defined(__GNUC__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"
#endif
#include <kissfft/kissfft.hh>
#if defined(__GNUC__)
#pragma GCC diagnostic pop
#endif
#include <numbers>

#include "core/error.h"

namespace moesaic::accounting {
namespace {

using Complex = std::complex<double>;

// Without the care for infinities that operator* takes.
Complex product(Complex a, Complex b) {
  return {a.real() * b.real() - a.imag() * b.imag(), a.real() * b.imag() + a.imag() * b.real()};
}

template <class Number, class Multiply>
Number power_of(Number base, long long power, Number result, const Multiply& multiply) {
  for (; power > 0; power /= 2) {
    if (power % 2 != 0) result = multiply(result, base);
    base = multiply(base, base);
  }
  return result;
}

}  // namespace

Spectrum fourier_transform(std::span<const double> values) {
  const std::size_t half = values.size() / 2;
  MOESAIC_ASSERT(half >= 2 && (half & (half - 1)) == 0 && values.size() == 2 * half);
  Spectrum spectrum(half);
  kissfft<double>(half, false).transform_real(values.data(), spectrum.data());
  return spectrum;
}

// The even numbers become the real parts, the odd ones the imaginary parts of a transform of half
// the size.
std::vector<double> inverse_fourier_transform(Spectrum spectrum) {
  const std::size_t half = spectrum.size();
  const double first = spectrum[0].real();
  const double middle = spectrum[0].imag();
  Spectrum packed(half);
  packed[0] = {(first + middle) / 2, (first - middle) / 2};
  for (std::size_t k = 1; k < half; ++k) {
    const Complex mirror = std::conj(spectrum[half - k]);
    const double angle = std::numbers::pi * static_cast<double>(k) / static_cast<double>(half);
    const Complex odd = product(spectrum[k] - mirror, std::polar(0.5, angle));
    packed[k] = 0.5 * (spectrum[k] + mirror) + Complex(-odd.imag(), odd.real());
  }
  kissfft<double>(half, true).transform(packed.data(), spectrum.data());
  std::vector<double> values(2 * half);
  const double scale = 1 / static_cast<double>(half);
  for (std::size_t k = 0; k < half; ++k) {
    values[2 * k] = scale * spectrum[k].real();
    values[2 * k + 1] = scale * spectrum[k].imag();
  }
  return values;
}

void multiply_by_power(Spectrum& factor, const Spectrum& base, long long power) {
  const auto real = [power](double f, double b) {
    return power_of(b, power, f, [](double x, double y) { return x * y; });
  };
  factor[0] = {real(factor[0].real(), base[0].real()), real(factor[0].imag(), base[0].imag())};
  for (std::size_t k = 1; k < factor.size(); ++k)
    factor[k] = power_of(base[k], power, factor[k], product);
}

}  // namespace moesaic::accounting
