#include "data/split.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "core/digest.h"
#include "core/fs.h"
#include "support/temporary_folder.h"

namespace moesaic {
namespace {

using testing::TemporaryFolder;

std::vector<std::size_t> sizes_of(const std::vector<std::uint32_t>& parts, std::size_t count) {
  std::vector<std::size_t> sizes(count, 0);
  for (const std::uint32_t part : parts) ++sizes[part];
  return sizes;
}

TEST(PartsOfLines, AValueStaysWhole) {
  std::vector<std::uint32_t> labels;
  for (std::uint32_t line = 0; line < 60; ++line) labels.push_back(line % 6);
  for (const std::string by : {"label", "field"}) {
    const auto parts = parts_of_lines({.parts = 3, .by = by}, labels, 6);
    for (std::size_t line = 6; line < 60; ++line) EXPECT_EQ(parts[line], parts[line - 6]);
    EXPECT_EQ(sizes_of(parts, 3), (std::vector<std::size_t>{20, 20, 20}));
  }
  EXPECT_THROW(parts_of_lines({.parts = 7, .by = "label"}, labels, 6), Error);
}

TEST(PartsOfLines, ASeedFixesTheDrawsAndAnotherChangesThem) {
  const std::vector<std::uint32_t> labels(2000, 0);
  const SplitOptions options{.parts = 3, .alpha = 1.0, .seed = 5};
  SplitOptions other = options;
  other.seed = 6;
  EXPECT_EQ(parts_of_lines(options, labels, 1), parts_of_lines(options, labels, 1));
  EXPECT_NE(parts_of_lines(options, labels, 1), parts_of_lines(other, labels, 1));
}

// Of single draws about every fourth has an empty part here.
TEST(PartsOfLines, SharesAreDrawnAgainUntilEachPartHasALine) {
  const std::vector<std::uint32_t> labels(500, 0);
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    const auto sizes = sizes_of(parts_of_lines({.parts = 4, .seed = seed}, labels, 1), 4);
    EXPECT_GE(*std::min_element(sizes.begin(), sizes.end()), 1U) << seed;
  }
  const std::vector<std::uint32_t> three(3, 0);
  EXPECT_THROW(parts_of_lines({.parts = 4}, three, 1), Error);
  EXPECT_THROW(parts_of_lines({.parts = 400, .alpha = 0.001}, labels, 1), Error);
}

// The share of one part has mean 1 / K and variance (1 / K)(1 - 1 / K) / (K alpha + 1).
TEST(PartsOfLines, SharesAreThoseOfTheDirichletDistribution) {
  constexpr std::size_t kValues = 1500, kLines = 200;
  std::vector<std::uint32_t> labels;
  for (std::uint32_t value = 0; value < kValues; ++value)
    labels.insert(labels.end(), kLines, value);
  for (const double alpha : {0.5, 5.0}) {
    const auto parts =
        parts_of_lines({.parts = 4, .by = "dirichlet", .alpha = alpha}, labels, kValues);
    double sum = 0, squares = 0;
    for (std::size_t value = 0; value < kValues; ++value) {
      const auto first = parts.begin() + static_cast<std::ptrdiff_t>(value * kLines);
      const auto count = std::count(first, first + static_cast<std::ptrdiff_t>(kLines), 1U);
      const double share = static_cast<double>(count) / kLines;
      sum += share, squares += share * share;
    }
    const double mean = sum / kValues, variance = squares / kValues - mean * mean;
    EXPECT_NEAR(mean, 0.25, 0.03) << alpha;
    EXPECT_NEAR(variance, 0.25 * 0.75 / (4 * alpha + 1), 0.1 * variance) << alpha;
  }
}

class SplitCorpus : public ::testing::Test {
 protected:
  SplitOptions options(const std::string& lines) const {
    write_file_atomic(folder_.path() + "/a.jsonl", lines);
    return {.source = folder_.path() + "/a.jsonl", .output = folder_.path() + "/out"};
  }
  TemporaryFolder folder_;
};

TEST_F(SplitCorpus, KeepsEveryLineOnceAsItIs) {
  std::string text;
  for (int i = 0; i < 40; ++i) text += format("{{\"text\":  \"t{}\", \"site\": {}}}\n", i, i % 4);
  SplitOptions split = options(text);
  split.by = "field", split.field = "site";
  const Json manifest = split_corpus(split, Log());
  std::multiset<std::string> lines;
  for (const Json& part : manifest.at("parts")) {
    const std::string content = read_file(split.output + "/" + part.at("file").get<std::string>());
    EXPECT_EQ(part.at("bytes").get<std::size_t>(), content.size());
    EXPECT_EQ(part.at("digest").get<std::string>(), digest_of(content));
    EXPECT_EQ(part.at("lines").get<int>(), 20);
    EXPECT_EQ(part.at("values").size(), 2U);
    for (std::size_t at = 0; at < content.size(); at = content.find('\n', at) + 1)
      lines.insert(content.substr(at, content.find('\n', at) - at));
  }
  EXPECT_EQ(lines.size(), 40U);
  EXPECT_EQ(lines.count("{\"text\":  \"t7\", \"site\": 3}"), 1U);
  EXPECT_EQ(parse_json(read_file(split.output + "/split.json"), "x"), manifest);
  EXPECT_THROW(split_corpus(split, Log()), Error);  // there is one already
}

TEST_F(SplitCorpus, ReplacesNothing) {
  const std::string lines = "{\"text\": \"a\"}\n{\"text\": \"b\"}\n";
  SplitOptions split = options(lines);
  write_file_atomic(folder_.path() + "/part-0.jsonl", lines);
  split.alpha = 1e6;
  split.source = folder_.path() + "/part-*.jsonl", split.output = folder_.path();
  EXPECT_THROW(split_corpus(split, Log()), Error);
  EXPECT_EQ(read_file(folder_.path() + "/part-0.jsonl"), lines);
  split.output += "/" + std::string(300, 'x');
  EXPECT_THROW(split_corpus(split, Log()), Error);
}

TEST_F(SplitCorpus, NamesTheLineThatHasNoValue) {
  SplitOptions split = options("{\"label\": \"a\"}\n\n{\"other\": 1}\n");
  split.by = "label";
  try {
    split_corpus(split, Log());
    FAIL() << "a line without the field was taken";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("a.jsonl:3: key \"label\" is missing"),
              std::string::npos)
        << error.what();
  }
  split = options("{\"label\": [1]}\n");
  split.by = "label";
  EXPECT_THROW(split_corpus(split, Log()), Error);
  split = options("plain words\n[1]\n");
  split.parts = 1;
  EXPECT_THROW(split_corpus(split, Log()), Error);
}

}  // namespace
}  // namespace moesaic
