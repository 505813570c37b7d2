#include "data/parallel_encoder.h"

#include <gtest/gtest.h>

#include "core/error.h"

namespace moesaic {
namespace {

std::vector<std::string> texts() {
  std::vector<std::string> all;
  for (std::size_t i = 0; i < 40; ++i)
    all.push_back(std::string(1000 * (i % 7) * (i % 5), static_cast<char>('a' + i % 26)));
  for (int i = 0; i < 4; ++i) all.push_back(std::string(1 << 20, 'z'));
  return all;
}

using AllIds = std::vector<std::vector<std::uint32_t>>;

AllIds encoded(ParallelEncoder& encoder, const std::vector<std::string>& all) {
  AllIds ids(all.size());
  std::size_t bytes = 0;
  for (const auto& text : all) bytes += text.size();
  encoder.for_each(all.size(), bytes, [&](const Tokenizer& tokenizer, std::size_t i) {
    tokenizer.encode(all[i], ids[i]);
  });
  return ids;
}

TEST(ParallelEncoder, GivesTheSameIdsOnAnyNumberOfThreads) {
  const auto tokenizer = byte_tokenizer();
  ParallelEncoder alone(*tokenizer, 1);
  const auto one = encoded(alone, texts());
  ASSERT_EQ(one.size(), texts().size());
  EXPECT_EQ(one[1].size(), 1000U);
  EXPECT_EQ(one[1][0], 'b');
  for (const int threads : {0, 2, 5}) {
    ParallelEncoder encoder(*tokenizer, threads);
    EXPECT_EQ(encoded(encoder, texts()), one);
    EXPECT_EQ(encoded(encoder, {"ab"}), (AllIds{{'a', 'b'}}));
    EXPECT_TRUE(encoded(encoder, {}).empty());
  }
}

/// Fails on some texts.
class Failing : public Tokenizer {
 public:
  void encode(std::string_view text, std::vector<std::uint32_t>&) const override {
    if (text.size() == 2 << 20) throw Error(ErrorKind::kData, std::string(text.substr(0, 1)));
  }
  std::string decode(std::span<const std::uint32_t>, bool) const override { return ""; }
  std::unique_ptr<Tokenizer> clone() const override { return std::make_unique<Failing>(); }
  std::int64_t vocab_size() const override { return 1; }
  std::optional<std::uint32_t> end_of_text() const override { return std::nullopt; }
  bool encodes_in_pieces() const override { return false; }
  Json describe() const override { return {}; }
};

TEST(ParallelEncoder, RethrowsTheErrorOfTheFirstText) {
  const Failing tokenizer;
  ParallelEncoder four(tokenizer, 4);
  try {
    encoded(four, {"x", std::string(2 << 20, 'b'), "y", std::string(2 << 20, 'c')});
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(std::string(error.what()), "b");
  }
}

}  // namespace
}  // namespace moesaic
