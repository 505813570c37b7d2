// What is made of the answers to a task: classes, intervals, JSON, tables of before and after.
#include "metrics/evaluation.h"

#include <gtest/gtest.h>

#include <numeric>

#include "core/error.h"
#include "metrics/comparison.h"
#include "support/temporary_folder.h"

namespace moesaic::metrics {
namespace {

using testing::expect_error;
using testing::TemporaryFolder;

Json of_labels(const std::string& answers, const std::string& predicted,
               const BootstrapOptions& bootstrap = {}) {
  Evaluation evaluation({.task = "classification", .metrics = {}, .bootstrap = bootstrap});
  for (std::size_t i = 0; i < answers.size(); ++i)
    evaluation.add({std::string(1, predicted[i]), {std::string(1, answers[i])}});
  return evaluation.result();
}

double value(const Json& result, const std::string& metric, const std::string& key = "value") {
  return result.at("metrics").at(metric).at(key).get<double>();
}

TEST(Evaluation, CountsClassesAsScikitLearnDoes) {
  const Json result = of_labels("aabcba", "abbabd");
  EXPECT_EQ(result.at("items"), 6);
  EXPECT_NEAR(value(result, "accuracy"), 0.5, 1e-15);
  EXPECT_NEAR(value(result, "precision"), 0.29166666666666663, 1e-12);
  EXPECT_NEAR(value(result, "recall"), 0.3333333333333333, 1e-12);
  EXPECT_NEAR(value(result, "f1"), 0.30000000000000004, 1e-12);
  const Json& classes = result.at("per_class");
  ASSERT_EQ(classes.size(), 4U) << "d was predicted, and is no answer";
  EXPECT_NEAR(classes.at("b").at("precision").get<double>(), 2.0 / 3, 1e-15);
  EXPECT_EQ(classes.at("b").at("support"), 2);
  EXPECT_EQ(classes.at("d").at("precision"), 0.0);
  EXPECT_EQ(classes.at("d").at("support"), 0);
}

TEST(Evaluation, IntervalsAreAFunctionOfTheSeed) {
  std::string answers(200, 'a'), predicted = answers;
  for (std::size_t i = 0; i < 50; ++i) predicted[4 * i] = 'b';
  const Json one = of_labels(answers, predicted, {.samples = 2000, .seed = 1});
  EXPECT_EQ(one, of_labels(answers, predicted, {.samples = 2000, .seed = 1}));
  const auto few = [&](std::uint64_t seed) {  // of many samples the quantiles fall together
    return of_labels(answers, predicted, {.samples = 5, .seed = seed});
  };
  EXPECT_NE(few(1), few(2));
  // 1.96 standard errors of a share of 0.75 in 200 items are 0.06.
  EXPECT_NEAR(value(one, "accuracy", "low"), 0.69, 0.01);
  EXPECT_NEAR(value(one, "accuracy", "high"), 0.81, 0.01);
}

TEST(Evaluation, WithoutABootstrapThereAreNoIntervals) {
  const Json result = of_labels("ab", "ab", {.samples = 0});
  EXPECT_TRUE(result.at("metrics").at("f1").at("low").is_null());
  EXPECT_NE(evaluation_text(result).find("accuracy        1\n"), std::string::npos)
      << evaluation_text(result);
}

TEST(Evaluation, HasTheMetricsThatWereAskedFor) {
  Evaluation evaluation(
      {.task = "generation", .metrics = {"chrf", "exact_match", "chrf"}, .bootstrap = {}});
  evaluation.add({"yes", {"yes"}});
  const Json result = evaluation.result();
  EXPECT_EQ(result.at("metrics").size(), 2U);
  EXPECT_EQ(value(result, "chrf", "low"), 100) << "every resampling of one item is that item";
  EXPECT_FALSE(result.contains("per_class"));
  expect_error(ErrorKind::kUsage, "--metrics bleu: --task cases has no such metric",
               [] { Evaluation({.task = "cases", .metrics = {"bleu"}, .bootstrap = {}}); });
}

TEST(Evaluation, IsToldInSixDigits) {
  const std::string text = evaluation_text(of_labels("aaa", "aab", {.samples = 100, .seed = 0}));
  EXPECT_NE(text.find("accuracy        0.666667    "), std::string::npos) << text;
  EXPECT_NE(text.find("class           precision   recall      f1          support\n"),
            std::string::npos)
      << text;
  EXPECT_NE(text.find("a               1           0.666667    0.8         3\n"), std::string::npos)
      << text;
}

TEST(Evaluation, RefusesMoreLabelsThanAClassifierHas) {
  Labels labels;
  expect_error(ErrorKind::kData, "over 10000 labels", [&] {
    for (int i = 0; i <= 10'000; ++i) labels.add(std::to_string(i), "0");
  });
}

TEST(Quantile, IsLinearBetweenTwoValues) {
  EXPECT_EQ(quantile({1, 2, 4}, 0.25), 1.5);
  EXPECT_EQ(quantile({1, 2, 4}, 1), 4);
  EXPECT_EQ(quantile({3}, 0.975), 3);
}

TEST(Comparison, ShowsBeforeAfterAndChange) {
  const Json table = compare_results(of_labels("abab", "aaaa", {.samples = 0}),
                                     of_labels("abab", "abaa", {.samples = 0}), "law");
  const Json& row = table.at("rows").at(0);
  EXPECT_EQ(row.at("metric"), "accuracy");
  EXPECT_EQ(row.at("before").at("value"), 0.5);
  EXPECT_EQ(row.at("change"), 0.25);
  EXPECT_NE(
      comparison_markdown(table).find("| law | classification | accuracy | 0.5 | 0.75 | +0.25 |\n"),
      std::string::npos)
      << comparison_markdown(table);
}

Measurement measured(std::vector<double> losses) {
  const std::vector<double> each(losses.size(), 1.0);
  const double sum = std::accumulate(losses.begin(), losses.end(), 0.0);
  const auto items = losses.size();
  return {.result = {{"task", "perplexity"}, {"loss", sum / static_cast<double>(items)}},
          .items = items,
          .statistics = {{"loss", ratio(std::move(losses), each)}}};
}

TEST(Comparison, DrawsTheSameItemsForBoth) {
  // Items differ much from each other, and each by 1 from itself: paired, the change is certain.
  const std::vector<double> losses = {3, 30, 300, 3000, 30000}, lower = {2, 29, 299, 2999, 29999};
  const Json row =
      compare_measurements(measured(losses), measured(lower), {.samples = 200}).at("rows").at(0);
  EXPECT_EQ(row.at("change"), -1.0);
  EXPECT_NEAR(row.at("change_low").get<double>(), -1.0, 1e-9);
  EXPECT_NEAR(row.at("change_high").get<double>(), -1.0, 1e-9);
  const double low = row.at("before").at("low"), high = row.at("before").at("high");
  EXPECT_GT(high - low, 1000);
  EXPECT_NE(comparison_markdown({{"rows", Json::array({row})}}).find("| -1 (-1 to -1) |"),
            std::string::npos);
}

TEST(Comparison, UnpairedItemsHaveNoIntervalOfTheChange) {
  const Json row = compare_measurements(measured({1, 2, 3}), measured({1, 2}), {}).at("rows").at(0);
  EXPECT_TRUE(row.at("change_low").is_null());
  const Json none = compare_measurements(measured({1, 2}), measured({1, 3}), {.samples = 0});
  EXPECT_TRUE(none.at("rows").at(0).at("change_high").is_null());
}

TEST(Comparison, TakesFoldersOfResults) {
  const TemporaryFolder folder;
  const std::string loss = R"({"task": "perplexity", "documents": 3, "loss": )";
  const std::string choice =
      R"({"task": "multiple_choice", "items": 9, "acc": 0.5, "acc_stderr": )";
  folder.file("before/general.json", loss + "2.5}");
  folder.file("before/medicine.json", choice + "0.1}");
  folder.file("after/general.json", loss + "2.25}");
  folder.file("after/medicine.json", choice + "0.1}");
  const std::string before = folder.path() + "/before", after = folder.path() + "/after";
  const Json table = compare_paths(before, after);
  ASSERT_EQ(table.at("rows").size(), 2U);
  EXPECT_EQ(table.at("rows").at(0).at("name"), "general");
  EXPECT_EQ(table.at("rows").at(0).at("change"), -0.25);
  EXPECT_NEAR(table.at("rows").at(1).at("before").at("low").get<double>(), 0.304, 1e-3);
  folder.file("before/law.json", loss + "1}");
  expect_error(ErrorKind::kData, "law.json has no counterpart in",
               [&] { compare_paths(before, after); });
}

TEST(Comparison, RefusesWhatIsNotTheSame) {
  const TemporaryFolder folder;
  const std::string three = folder.file("a.json", R"({"task": "perplexity", "documents": 3})"),
                    four = folder.file("b.json", R"({"task": "perplexity", "documents": 4})"),
                    other = folder.file("c.json", R"({"task": "cases", "metrics": {"f1": 3}})"),
                    text = folder.file("d.json", "[]");
  expect_error(ErrorKind::kData, "documents is 3 before and 4 after",
               [&] { compare_paths(three, four); });
  for (const std::string& bad : {other, text}) {
    expect_error(ErrorKind::kData, "is no result of", [&] { compare_paths(bad, bad); });
  }
  expect_error(ErrorKind::kData, "none.json",
               [&] { compare_paths(three, folder.path() + "/none.json"); });
}

}  // namespace
}  // namespace moesaic::metrics
