#include "inference/score_line.h"

#include <cmath>
#include <limits>

#include "data/test_data.h"

namespace moesaic {
namespace {

using testing::expect_error;

const Tokenizer* bytes() {
  static const auto tokenizer = byte_tokenizer();
  return tokenizer.get();
}

const ScoreVocabulary kBytes{.size = 257, .tokenizer = bytes, .max_ids = 4};
const ScoreVocabulary kNoTokenizer{.size = 257};

using Ids = std::vector<std::uint32_t>;

void refused(const std::string& line, const ScoreVocabulary& vocabulary, const std::string& part) {
  expect_error(ErrorKind::kData, part, [&] { read_score_line(line, "<stdin>:3", vocabulary); });
}

TEST(ScoreLine, TakesIdsAsTheyAreAndTextByTheTokenizer) {
  EXPECT_EQ(read_score_line(R"({"ids": [256, 0]})", "x", kBytes), (Ids{256, 0}));
  EXPECT_EQ(read_score_line(R"({"text": "a\u00e9"})", "x", kBytes), (Ids{97, 0xc3, 0xa9}));
  EXPECT_EQ(read_score_line(R"({"text": ""})", "x", kBytes), Ids{});
  EXPECT_EQ(read_score_line(R"({"ids": []})", "x", kNoTokenizer), Ids{});
}

TEST(ScoreLine, RefusesWhatTheModelCannotTake) {
  refused(R"({"ids": [1, 257]})", kBytes,
          "<stdin>:3: id 257 at place 1 is outside the vocabulary, which has 0 to 256");
  refused(R"({"ids": [1, 2, 3, 4, 5]})", kBytes, "<stdin>:3: a sequence of 5 ids, at most 4");
  refused(R"({"text": "longer"})", kBytes, "<stdin>:3: a sequence of 6 ids, at most 4");
  refused(R"({"text": "a"})", kNoTokenizer, "<stdin>:3: \"text\" needs a tokenizer");
  refused(R"({"text": "a"})", {.size = 9, .tokenizer = [] { return nullptr; }},
          "needs a tokenizer");
  refused(R"({"ids": [1], "text": "a"})", kBytes, "keep one of them");
}

TEST(ScoreLine, IsTheShortestThatReadsBackTheSame) {
  const std::vector<double> values = {-0.1, -1.0 / 3, -1e-9};
  EXPECT_EQ(score_line({values, 4}, false),
            "{\"logprobs\":[-0.1,-0.3333333333333333,-1e-09],\"nll\":0.4333333343333334,"
            "\"tokens\":4}\n");
  const std::vector<double> single = {static_cast<double>(-0.1F)};
  EXPECT_EQ(score_line({single, 2}, true),
            "{\"logprobs\":[-0.1],\"nll\":0.10000000149011612,\"tokens\":2}\n");
}

TEST(ScoreLine, HasNoNegativeZeroAndNothingThatIsNoJson) {
  EXPECT_EQ(score_line({{}, 1}, true), "{\"logprobs\":[],\"nll\":0,\"tokens\":1}\n");
  const std::vector<double> zero = {0.0};
  EXPECT_EQ(score_line({zero, 2}, true), "{\"logprobs\":[0],\"nll\":0,\"tokens\":2}\n");
  const std::vector<double> wrong = {std::nan(""), -std::numeric_limits<double>::infinity()};
  const SequenceScore score{wrong, 3};
  EXPECT_FALSE(score.is_finite());
  EXPECT_EQ(score_line(score, true), "{\"logprobs\":[null,null],\"nll\":null,\"tokens\":3}\n");
}

}  // namespace
}  // namespace moesaic
