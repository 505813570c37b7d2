#include "config/gguf_header.h"

#include <gtest/gtest.h>

#include "gguf_maker.h"

namespace moesaic {
namespace {

using Maker = test::GgufMaker;

void refused(const std::string& file, const std::string& part) {
  try {
    read_gguf_header(file, "model.gguf");
    FAIL() << "was read, in place of: " << part;
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find(part), std::string::npos) << error.what();
    EXPECT_NE(std::string(error.what()).find("model.gguf"), std::string::npos);
  }
}

TEST(GgufHeader, GivesValuesAndPlacesOfTensors) {
  Maker maker;
  maker.begin(2, 2).integer("a.count", 7).number("a.eps", 1e-5F);
  maker.tensor("w", {32, 3}, 2, 64).tensor("v", {4}, 0, 0);
  const std::string file = maker.with_values(64 + 3 * 18);
  const GgufHeader header = read_gguf_header(file, "model.gguf");
  EXPECT_EQ(header.integer("a.count"), 7);
  EXPECT_EQ(header.number("a.eps"), 1e-5) << "the decimal that was meant";
  EXPECT_EQ(header.number("a.count"), 7.0);
  EXPECT_EQ(header.integer("none"), std::nullopt);
  EXPECT_THROW(header.text("a.count"), Error);
  ASSERT_EQ(header.tensors.size(), 2U);
  EXPECT_EQ(header.tensors[0].name, "v");
  EXPECT_EQ(header.tensors[1].shape, std::vector<std::int64_t>({3, 32}));
  EXPECT_EQ(header.tensors[1].end - header.tensors[1].begin, 3U * 18U);
  EXPECT_EQ(header.tensors[1].end, file.size());
}

TEST(GgufHeader, RefusesWhatIsWrongByName) {
  refused("GGML", "no GGUF file");
  refused(Maker().begin(0, 0, 9).with_values(0), "version 9");
  refused(Maker().begin(1ULL << 40, 0).with_values(0), "1099511627776 tensors, of at most");
  refused(Maker().begin(0, 1).bytes(), "ends before the file does");
  refused(Maker().begin(0, 1).add<std::uint64_t>(1ULL << 50).bytes(), "bytes of text, of at most");
  refused(Maker().begin(0, 2).integer("k", 1).integer("k", 2).with_values(0), "k is there twice");
  refused(Maker().begin(1, 0).tensor("w", {32}, 77, 0).with_values(64),
          "w has the unknown type 77");
  refused(Maker().begin(1, 0).tensor("w", {256}, 10, 0).with_values(640), "w is Q2_K; F32, F16");
  refused(Maker().begin(1, 0).tensor("w", {33}, 2, 0).with_values(64), "blocks of 32");
  refused(Maker().begin(1, 0).tensor("w", {1, 1, 1, 1, 1}, 0, 0).with_values(64), "5 dimensions");
  refused(Maker().begin(1, 0).tensor("w", {1ULL << 40, 1ULL << 40}, 0, 0).with_values(64),
          "dimension");
  refused(Maker().begin(1, 0).tensor("w", {64}, 0, 0).with_values(255), "w has 256 bytes at 0");
  refused(Maker().begin(1, 0).tensor("w", {4}, 0, 8).with_values(64), "w has 16 bytes at 8");
  refused(Maker().begin(2, 0).tensor("w", {16}, 0, 0).tensor("v", {16}, 0, 32).with_values(96),
          "overlap");
  refused(Maker().begin(0, 1).integer("general.alignment", 3).with_values(0),
          "general.alignment is 3");
}

}  // namespace
}  // namespace moesaic
