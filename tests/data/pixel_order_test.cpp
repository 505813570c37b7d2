#include "data/pixel_order.h"

#include <gtest/gtest.h>

namespace moesaic {
namespace {

using Order = std::vector<std::int64_t>;

// The expected values are numpy.random.RandomState(seed).permutation(size) of NumPy 2.
TEST(PixelOrder, IsThatOfNumPy) {
  EXPECT_EQ(pixel_order(7, 10), (Order{8, 5, 0, 2, 1, 9, 7, 3, 6, 4}));
  EXPECT_EQ(pixel_order(4294967295U, 5), (Order{4, 1, 0, 2, 3}));
  const Order image = pixel_order(1, 784);
  EXPECT_EQ(Order(image.begin(), image.begin() + 5), (Order{649, 265, 111, 301, 339}));
  EXPECT_EQ(Order(image.end() - 3, image.end()), (Order{72, 235, 37}));
  EXPECT_EQ(pixel_order(3, 1), Order{0});
}

}  // namespace
}  // namespace moesaic
