// Texts that are made at the same time.
#include "inference/generator.h"

#include <gtest/gtest.h>

#include <set>

#include "core/error.h"
#include "support/random_model.h"

namespace moesaic {
namespace {

using Prompts = std::vector<std::vector<std::uint32_t>>;

const Prompts kPrompts = {
    {5, 1, 2, 3, 4, 6, 7, 8, 9}, {5}, {5, 30, 29}, {5, 1}, {5, 2, 2, 2, 2, 2}, {5, 11, 12, 13}};

class TogetherTest : public ::testing::Test {
 protected:
  InferenceModel open(const Json& config, const std::string& precision) {
    return test::random_model(context_, folder_, config, precision);
  }

  // One after the other.
  std::vector<Generator::Result> one_by_one(InferenceModel& model,
                                            const Generator::Options& options) {
    std::vector<Generator::Result> results;
    for (std::size_t i = 0; i < kPrompts.size(); ++i) {
      Generator generator(context_, model, options);
      std::size_t tokens = 0;
      results.push_back(
          generator.run(kPrompts[i], [&](std::uint32_t) { return ++tokens < longest(i); }));
    }
    return results;
  }
  std::vector<Generator::Result> at_once(InferenceModel& model, Generator::Options options,
                                         std::int64_t together) {
    options.together = together;
    Generator generator(context_, model, options);
    std::vector<std::size_t> tokens(kPrompts.size());
    return generator.run_all(
        kPrompts, [&](std::size_t i, std::uint32_t) { return ++tokens[i] < longest(i); });
  }
  // The texts end at different times.
  static std::size_t longest(std::size_t prompt) { return prompt == 3 ? 1 : 4 + 3 * prompt; }

  testing::TemporaryFolder folder_;
  RankContext context_ = RankContext::single();
};

TEST_F(TogetherTest, AreThoseThatAreMadeOneByOne) {
  std::set<std::vector<std::uint32_t>> different;
  for (const Json& config : {test::sample_hub_config(), test::sample_dense_config()})
    for (const char* precision : {"float32", "bfloat16"})
      for (const double temperature : {0.0, 1.0}) {
        InferenceModel model = open(config, precision);
        const Generator::Options options{.max_new_tokens = 12,
                                         .sampling = {.temperature = temperature, .seed = 3},
                                         .prompt_tokens = 4};
        const auto wanted = one_by_one(model, options);
        for (const std::int64_t together : {1, 2, 4, 16}) {
          const auto got = at_once(model, options, together);
          ASSERT_EQ(got.size(), wanted.size());
          for (std::size_t i = 0; i < got.size(); ++i) {
            EXPECT_EQ(got[i].ids, wanted[i].ids) << precision << ", " << together << ", " << i;
            EXPECT_EQ(got[i].finish_reason, wanted[i].finish_reason);
            if (temperature > 0) different.insert(got[i].ids);
          }
        }
        EXPECT_EQ(wanted[3].ids.size(), 1U);
        EXPECT_EQ(wanted[5].finish_reason, "length");
      }
  EXPECT_GT(different.size(), kPrompts.size()) << "the draws say nothing";
}

TEST_F(TogetherTest, EndWhereAnIdEndsThem) {
  InferenceModel model = open(test::sample_dense_config(), "float32");
  Generator::Options options{.max_new_tokens = 12, .sampling = {.temperature = 1, .seed = 1}};
  const auto whole = at_once(model, options, 4);
  options.end_ids = {whole[5].ids[2]};
  const auto wanted = one_by_one(model, options);
  const auto got = at_once(model, options, 4);
  for (std::size_t i = 0; i < got.size(); ++i) EXPECT_EQ(got[i].ids, wanted[i].ids) << i;
  EXPECT_LE(got[5].ids.size(), 3U);
  EXPECT_EQ(got[5].finish_reason, "stop");
}

}  // namespace
}  // namespace moesaic
