#include "aggregate/compression.h"

#include <gtest/gtest.h>

#include <cmath>

#include "core/error.h"

namespace moesaic::aggregate {
namespace {

using Values = std::vector<double>;

Values through(const Compression& way, const Values& values) {
  return decompressed(way, compressed(way, values), values.size());
}

TEST(Compression, KeepsWhatEachFormKeeps) {
  const Values values = {1.0, -2.5, 3.14159265358979, 1e-20};
  EXPECT_EQ(through({"float64"}, values), values);
  EXPECT_EQ(through({"none"}, values)[2], double(3.14159265358979F));
  const Values halves = through({"bfloat16"}, {1.0, 3.14159265358979, 1.00390625, 1.01171875});
  EXPECT_EQ(halves, (Values{1.0, 3.140625, 1.0, 1.015625}));  // ties to even
  EXPECT_TRUE(std::isnan(through({"bfloat16"}, {NAN})[0]));
  EXPECT_EQ(through({"int8"}, {127, -127, 1, 0.4, 0}), (Values{127, -127, 1, 0, 0}));
  EXPECT_EQ(through({"top_k", 0.4}, {1, -3, 2, 3, 0}), (Values{0, -3, 0, 3, 0}));
  EXPECT_EQ(through({"int8"}, {0, 0}), (Values{0, 0}));
}

TEST(Compression, HasTheBytesItSays) {
  const Values values(1000, 1.0);
  EXPECT_EQ(compressed({"none"}, values).size(), 4000U);
  EXPECT_EQ(compressed({"bfloat16"}, values).size(), 2000U);
  EXPECT_EQ(compressed({"int8"}, values).size(), 1016U);
  EXPECT_EQ(compressed({"top_k", 0.01}, values).size(), 80U);
}

// Of a change that is the same each round, the sum of what gets through stays within one round's
// loss of the sum of the changes.
TEST(Compression, FeedbackLosesNothingInTheLongRun) {
  const Values change = {1.0, 0.013, -0.004, 0.0001};
  for (const Compression& way : {Compression{"int8"}, Compression{"top_k", 0.25}}) {
    Values left_over, sum(4, 0.0);
    constexpr int kRounds = 1000;
    for (int round = 0; round < kRounds; ++round) {
      const Values got = decompressed(way, compressed_with_feedback(way, change, left_over), 4);
      for (std::size_t i = 0; i < 4; ++i) sum[i] += got[i];
    }
    for (std::size_t i = 0; i < 4; ++i)
      EXPECT_NEAR(sum[i] + left_over[i], kRounds * change[i], 1e-9) << way.type << i;
    EXPECT_GT(sum[1], 10) << way.type;
  }
}

TEST(Compression, RefusesWhatIsDamaged) {
  EXPECT_THROW(decompressed({"int8"}, std::vector<std::uint8_t>(7), 4), Error);
  EXPECT_THROW(compressed({"top_k"}, Values{NAN}), Error);
  EXPECT_THROW(compressed({"int8"}, Values{1e300}), Error);
  std::vector<std::uint8_t> bytes = compressed({"top_k", 0.5}, Values{1, 2, 3, 4});
  bytes[0] = 9;  // an index that is out of range
  EXPECT_THROW(decompressed({"top_k", 0.5}, bytes, 4), Error);
}

}  // namespace
}  // namespace moesaic::aggregate
