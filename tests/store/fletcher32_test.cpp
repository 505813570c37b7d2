#include "store/fletcher32.h"

#include <gtest/gtest.h>

#include <vector>

namespace moesaic {
namespace {

/// As the filter computes it: 16-bit words with the high byte first, sums with end-around carry.
std::uint32_t word_by_word(const std::vector<std::uint8_t>& bytes) {
  std::uint32_t sum = 0;
  std::uint32_t running = 0;
  for (std::size_t i = 0; i < bytes.size(); i += 2) {
    sum += static_cast<std::uint32_t>(bytes[i] << 8U | bytes[i + 1]);
    sum = (sum & 0xffffU) + (sum >> 16U);
    running += sum;
    running = (running & 0xffffU) + (running >> 16U);
  }
  return running << 16U | sum;
}

std::vector<std::uint8_t> sample(std::size_t bytes, std::uint64_t seed) {
  std::vector<std::uint8_t> values(bytes);
  std::uint64_t state = seed;
  for (auto& value : values) {
    state = state * 6364136223846793005ULL + 1442695040888963407ULL;
    value = static_cast<std::uint8_t>(state >> 56U);
  }
  return values;
}

TEST(Fletcher32, IsThatOfTheWordsOneByOne) {
  // Around the sizes at which the inner loops begin and end.
  for (const std::size_t bytes : {2, 4, 30, 32, 34, 62, 64, 8190, 8192, 8194, 100'000, 1'048'578}) {
    const auto values = sample(bytes, bytes);
    EXPECT_EQ(fletcher32(values.data(), bytes), word_by_word(values)) << bytes;
  }
}

TEST(Fletcher32, HoldsTheLargestSumsOfABlock) {
  const std::vector<std::uint8_t> ones(1U << 20U, 0xff);  // every word is a multiple of the modulus
  EXPECT_EQ(fletcher32(ones.data(), ones.size()), word_by_word(ones));
  EXPECT_EQ(fletcher32(ones.data(), ones.size()), 0xffffffffU);
}

TEST(Fletcher32, OfZerosIsZero) {
  const std::vector<std::uint8_t> zeros(100'000, 0);
  EXPECT_EQ(fletcher32(zeros.data(), zeros.size()), 0U);
}

}  // namespace
}  // namespace moesaic
