#include "observe/crc32c.h"

#include <gtest/gtest.h>

#include <string>

namespace moesaic {
namespace {

// The check value of the CRC catalogue, and the examples of RFC 3720 appendix B.4.
TEST(Crc32c, AgreesWithPublishedValues) {
  EXPECT_EQ(crc32c("123456789"), 0xE3069283U);
  EXPECT_EQ(crc32c(""), 0U);
  EXPECT_EQ(crc32c(std::string(32, '\0')), 0x8A9136AAU);
  EXPECT_EQ(crc32c(std::string(32, '\xFF')), 0x62A8AB43U);
}

TEST(Crc32c, MaskRotatesRightByFifteenAndAddsTheDelta) {
  const std::uint32_t crc = 0xE3069283U;
  EXPECT_EQ(masked_crc32c("123456789"), ((crc >> 15) | (crc << 17)) + 0xA282EAD8U);
}

}  // namespace
}  // namespace moesaic
