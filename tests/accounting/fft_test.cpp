#include "accounting/fft.h"

#include <gtest/gtest.h>

#include <random>

namespace moesaic::accounting {
namespace {

TEST(Fft, PowersAreCircularConvolutions) {
  std::mt19937 random(3);
  std::uniform_real_distribution<double> uniform(0, 1);
  for (const std::size_t size : {4U, 8U, 64U}) {
    std::vector<double> a(size);
    std::vector<double> b(size);
    for (std::size_t i = 0; i < size; ++i) a[i] = uniform(random), b[i] = uniform(random);
    std::vector<double> expected = a;
    for (int times = 0; times < 3; ++times) {
      std::vector<double> next(size);
      for (std::size_t i = 0; i < size; ++i)
        for (std::size_t j = 0; j < size; ++j) next[(i + j) % size] += expected[i] * b[j];
      expected = next;
    }
    Spectrum spectrum = fourier_transform(a);
    multiply_by_power(spectrum, fourier_transform(b), 3);
    const std::vector<double> got = inverse_fourier_transform(spectrum);
    for (std::size_t i = 0; i < size; ++i) EXPECT_NEAR(got[i] / expected[i], 1, 1e-12);
  }
}

}  // namespace
}  // namespace moesaic::accounting
