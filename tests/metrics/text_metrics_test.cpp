// Metrics of texts, beside numbers of sacrebleu 2.6.0 and rouge-score 0.1.2.
#include <gtest/gtest.h>

#include "metrics/bleu.h"
#include "metrics/chrf.h"
#include "metrics/metric.h"
#include "metrics/ngrams.h"
#include "metrics/rouge_l.h"

namespace moesaic::metrics {
namespace {

double value_of(const std::string& name, const std::vector<Answer>& answers) {
  const std::unique_ptr<Metric> metric = make_metric(name);
  for (const Answer& answer : answers) metric->add(answer);
  return metric->value(std::vector<std::uint32_t>(answers.size(), 1));
}

const std::vector<Answer>& samples() {
  static const std::vector<Answer> kSamples = {
      {"The cat sat on the mat.", {"The cat is on the mat.", "There is a cat on the mat."}},
      {"It costs $1,000.50 - today", {"It costs $1,000.50 today!", "costs: 1,000.50"}},
      {"Gr\u00FC\u00DFe aus K\u00F6ln, 2-3 Tage", {"Gr\u00FC\u00DFe aus K\u00F6ln; 2-3 Tage"}},
      {"", {"nothing"}}};
  return kSamples;
}

TEST(Words, AreCutAtTheWhiteSpaceOfUnicode) {
  EXPECT_EQ(words(" a\u3000b\u00A0\tc\u2028d\x1C"), (Pieces{"a", "b", "c", "d"}));
  EXPECT_EQ(words("a\u200Bb"), Pieces{"a\u200Bb"}) << "a space of no width is none";
  EXPECT_TRUE(words("").empty());
  EXPECT_EQ(words("\xE2\x80"), Pieces{"\xE2\x80"}) << "half a character at the end";
}

TEST(Characters, HoldWholeSequencesOfBytes) {
  EXPECT_EQ(characters("a\u00E9\u4E2D"), (Pieces{"a", "\u00E9", "\u4E2D"}));
  EXPECT_EQ(characters("\xBF\xBFz").size(), 2U) << "bytes that are no UTF-8";
}

TEST(Tokens13a, AreThoseOfSacrebleu) {
  EXPECT_EQ(tokenize_13a("He said: \"1,000.5 &amp; 2-3,\" no? don't-\nstop... <skipped>A/B."),
            "He said : \" 1,000.5 & 2 - 3 , \" no ? don'tstop . . . A / B .");
  EXPECT_EQ(tokenize_13a(" \n"), "");
}

TEST(Bleu, IsThatOfSacrebleu) {
  EXPECT_NEAR(value_of("bleu", samples()), 48.4503028016591, 1e-9);
  EXPECT_NEAR(value_of("bleu", {{"a b c d", {"a b x d"}}}), 35.35533905932737, 1e-9);
  EXPECT_NEAR(value_of("bleu", {{"a b c d e", {"a x c y e"}}}), 14.058533129758727, 1e-9);
  EXPECT_EQ(value_of("bleu", {{"a b", {"a b"}}}), 0)
      << "no four words, and orders are not left out";
  EXPECT_EQ(value_of("bleu", {{"", {""}}}), 0);
}

TEST(Chrf, IsThatOfSacrebleu) {
  EXPECT_NEAR(value_of("chrf", samples()), 71.38915949668447, 1e-9);
  EXPECT_NEAR(value_of("chrf", {{"a b c d", {"a b x d"}}}), 27.083333333333332, 1e-9);
  EXPECT_NEAR(value_of("chrf", {{"a b", {"a b"}}}), 100, 1e-9);
  EXPECT_EQ(value_of("chrf", {{"", {"a"}}}), 0);
}

TEST(RougeL, IsThatOfRougeScore) {
  EXPECT_NEAR(value_of("rouge_l", samples()), (0.8333333333333334 + 1 + 1 + 0) / 4, 1e-12);
  EXPECT_EQ(rouge_words("A-b2\u212A \u0130x"), (std::vector<std::string>{"a", "b2k", "i", "x"}));
}

TEST(RougeL, FindsTheLongestCommonSubsequenceBeyondAWordOfBits) {
  std::string long_text, every_second;
  for (int i = 0; i < 300; ++i) {
    long_text += "w" + std::to_string(i % 200) + " ";
    if (i % 2 == 0) every_second += "w" + std::to_string(i % 200) + " ";
  }
  EXPECT_NEAR(rouge_l({every_second, {long_text}}), 2 * 150.0 / (150 + 300), 1e-12);
  EXPECT_NEAR(rouge_l({long_text, {"none", every_second}}), 2 * 150.0 / (150 + 300), 1e-12);
}

TEST(ExactMatch, IsEqualityWithAnyReference) {
  EXPECT_EQ(value_of("exact_match", {{"a", {"b", "a"}}, {"a ", {"a"}}}), 0.5);
}

TEST(CaseAccuracy, NeedsAllThatIsRequired) {
  EXPECT_EQ(value_of("case_accuracy",
                     {{"fever and cough", {"cough", "fever"}}, {"fever", {"fever", "cough"}}}),
            0.5);
}

}  // namespace
}  // namespace moesaic::metrics
